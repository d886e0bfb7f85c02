import { describe, expect, it } from 'vitest';
import { makeVcpu, type VcpuSetup } from '../../../src/case/case.ts';
import { Lives } from '../../../oracle/state/lives.ts';

const livesOf = (...vcpus: Partial<VcpuSetup>[]) => new Lives(vcpus.map((vcpu) => makeVcpu(vcpu)));

describe('Lives', () => {
  it('should start a vCPU that got INIT at the page of the first start-up IPI', () => {
    const lives = livesOf({}, {});
    lives.init(1);
    expect(lives.sipi(1, 0x9a, true)).toEqual({ rule: 'sipi-starts', result: 0x9a00_0000n });
    expect(lives.sipi(1, 0x12, true)).toEqual({ rule: 'sipi-dropped', result: 0x9a00_0000n });
    lives.init(1);
    expect(lives.sipi(1, 0x12, true)).toEqual({ rule: 'sipi-starts', result: 0x1200_0000n });
  });

  it('should not start by it whoever runs, waits for INIT, or is the boot processor', () => {
    const lives = livesOf({}, { idle: 'uninitialized' }, {});
    expect(lives.sipi(2, 1, true)).toEqual({ rule: 'sipi-dropped', result: 0n });
    expect(lives.sipi(1, 1, true)).toEqual({ rule: 'sipi-dropped', result: 1n });
    lives.init(0);
    expect(lives.sipi(0, 1, true)).toEqual({ rule: 'sipi-dropped', result: 0xf000_0000n });
  });

  it('should go by the id for who is the boot processor', () => {
    const lives = livesOf({ vcpuId: 1 }, { vcpuId: 0 });
    for (const vcpu of [0, 1]) lives.init(vcpu);
    expect(lives.sipi(0, 2, true).rule).toBe('sipi-starts');
    expect(lives.sipi(1, 2, true).rule).toBe('sipi-dropped');
  });

  it('should start who is set up to wait for it, and tell no selector of one that got no INIT', () => {
    expect(livesOf({ idle: 'init-received' }).sipi(0, 2, true)).toEqual({ rule: 'sipi-starts', result: 0n });
  });

  it('should not reach a LAPIC that is off', () => {
    const lives = livesOf({}, { idle: 'init-received' });
    expect(lives.sipi(1, 2, false)).toEqual({ rule: 'sipi-unheard', result: 2n });
    expect(lives.sipi(1, 2, true).rule).toBe('sipi-starts');
  });
});
