import { describe, expect, it } from 'vitest';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { tierOf } from '../../../src/case/tier.ts';

describe('tierOf', () => {
  const call = makeStep({ do: 'send-ipi' });

  it('should be counted where a handler can run', () => {
    expect(tierOf(makeCase([{}], [call]))).toBe('pending');
    expect(tierOf(makeCase([{}], [call, makeStep({ do: 'run' })]))).toBe('counted');
    expect(tierOf(makeCase([{}], [call, makeStep({ do: 'act' })]))).toBe('counted');
    expect(tierOf(makeCase([{}, { idle: 'halted' }], [call]))).toBe('counted');
  });
});
