import { describe, expect, it } from 'vitest';
import { parseSleepingCall } from '../../../src/kvm/threads.ts';

const run = '16 0x3f 0xae80 0x0 0x0 0x10 0x7f84c407f000 0x7f84c0000000 0x7f84d2c3d1bb\n';
const stat = (state: string, flags: number, name = 'node'): string =>
  `145 (${name}) ${state} 1 129 129 0 -1 ${flags} 0 0 0 0 12 34 0 0 20 0 30 0 1234 0 0\n`;
const sleeping = 0x40_0040;

describe('parseSleepingCall', () => {
  it('should name the call in which a thread sleeps', () => {
    const call = { number: 16, first: 0x3f, second: 0xae80 };
    expect(parseSleepingCall(run, stat('S', sleeping))).toEqual(call);
    expect(parseSleepingCall(run, stat('S', sleeping, 'a) R (b'))).toEqual(call);
  });

  it('should say null of a thread that runs, waits for the kernel, or is gone', () => {
    expect(parseSleepingCall('running\n', stat('R', sleeping))).toBeNull();
    expect(parseSleepingCall(run, stat('R', sleeping))).toBeNull();
    expect(parseSleepingCall(run, stat('D', sleeping))).toBeNull();
    expect(parseSleepingCall('', '')).toBeNull();
  });

  it("should not take KVM's own worker for the vCPU whose call it is a copy of", () => {
    expect(parseSleepingCall(run, stat('S', sleeping | 0x4000, 'kvm-nx-lpage-re'))).toBeNull();
  });
});
