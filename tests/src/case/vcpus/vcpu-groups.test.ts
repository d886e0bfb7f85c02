import { describe, expect, it } from 'vitest';
import { groupVcpus, nameVcpus, shortList } from '../../../../src/case/vcpus/vcpu-groups.ts';

describe('groupVcpus', () => {
  it('should leave the vCPUs of a small machine apart', () => {
    expect(groupVcpus(3, () => 'same')).toEqual([[0], [1], [2]]);
  });

  it('should put those of a small machine together where lines are few', () => {
    expect(groupVcpus(3, (position) => `${position % 2}`, 1)).toEqual([[0, 2], [1]]);
  });

  it('should put those of a larger machine together that say the same', () => {
    const odd = (position: number): string => (position % 2 === 0 ? 'even' : position === 5 ? 'five' : 'odd');
    expect(groupVcpus(9, odd)).toEqual([[0, 2, 4, 6, 8], [1, 3, 7], [5]]);
  });
});

describe('nameVcpus', () => {
  it('should name one with its VP, and several by their positions', () => {
    expect(nameVcpus([2], [0, 1, 65])).toBe('vCPU 2 (VP 65)');
    expect(nameVcpus([0, 2, 3, 4], [])).toBe('4 vCPUs: 0,2-4');
  });
});

describe('shortList', () => {
  it('should cut a list that is long behind a comma', () => {
    expect(shortList([7])).toBe('7');
    const scattered = Array.from({ length: 40 }, (_, index) => 100 + 2 * index);
    expect(shortList(scattered)).toBe('100,102,104,106,108,110,112,...');
  });
});
