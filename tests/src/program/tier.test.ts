import { describe, expect, it } from 'vitest';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { type Tier, tierOf } from '../../../src/program/tier.ts';

describe('tierOf', () => {
  const call = makeStep({ do: 'send-ipi' });
  const run = makeStep({ do: 'run' });
  const tier = (...of: Parameters<typeof makeCase>): Tier => tierOf(encodeCase(makeCase(...of)));

  it('should be counted where a handler can run', () => {
    expect(tier([{}], [call])).toBe('pending');
    expect(tier([{}], [call, run])).toBe('counted');
    expect(tier([{}], [call, makeStep({ do: 'act' })])).toBe('counted');
    expect(tier([{}, { idle: 'halted' }], [call])).toBe('counted');
  });

  it('should be concurrent where vCPUs run side by side', () => {
    expect(tier([{}, { idle: 'halted' }], [call, run], { schedule: 0 })).toBe('concurrent');
  });
});
