import { describe, expect, it } from 'vitest';
import { APIC_ISR, APIC_PROCPRI, APIC_TASKPRI, vectorBit } from '../../../src/abi/lapic.ts';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { observationOf } from '../../../src/model/model-executor.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import type { Observation } from '../../../src/program/observation.ts';
import { withPprAsRead } from '../../../oracle/compare/ppr.ts';
import { judge } from '../../../oracle/compare/verdict.ts';
import { predict } from '../../../oracle/model.ts';
import { facts } from '../programs.ts';

const program = encodeCase(makeCase([{ vpIndex: 0 }], [makeStep({ do: 'act', act: 'set-tpr', by: 'apic', tpr: 4 })]));

/** What a KVM is seen to do that leaves PPR as it was. */
function stale(cpu: string): { outcome: ReturnType<typeof predict>; seen: Observation } {
  const outcome = predict(program, { ...facts, cpu });
  const seen = observationOf(outcome, { exact: true });
  const withoutPpr = new Map([...seen.lapics[0]!].filter(([offset]) => offset !== APIC_PROCPRI));
  const steps = seen.steps.map((step) => ({ ...step, lapics: [withoutPpr] }));
  return { outcome, seen: { ...seen, steps, lapics: [withoutPpr] } };
}

describe('PPR of the page', () => {
  it('should be what a guest reads where TPR is written without an exit, and nowhere else', () => {
    const intel = stale('GenuineIntel');
    expect(judge(program, intel.outcome, intel.seen)).toEqual({ kind: 'match' });
    const amd = stale('AuthenticAMD');
    expect(judge(program, amd.outcome, amd.seen).kind).toBe('divergence');
  });

  it('should not hide a TPR that is another one', () => {
    const { outcome, seen } = stale('GenuineIntel');
    const other = new Map(seen.lapics[0]).set(APIC_TASKPRI, 0x50);
    expect(judge(program, outcome, { ...seen, lapics: [other], steps: [] }).kind).toBe('divergence');
  });

  it.each([
    [0x40, 0x31, 0x40],
    [0x40, 0x41, 0x40],
    [0x40, 0x51, 0x50],
    [0, 0, undefined],
  ])('should follow from TPR %i and vector %i in service: %i', (tpr, vector, ppr) => {
    const { offset, mask } = vectorBit(APIC_ISR, vector);
    const lapic = new Map([
      [APIC_TASKPRI, tpr],
      [offset, vector === 0 ? 0 : mask],
      [APIC_PROCPRI, 0xe0],
    ]);
    const { seen } = stale('GenuineIntel');
    expect(withPprAsRead({ ...seen, lapics: [lapic] }).lapics[0]!.get(APIC_PROCPRI)).toBe(ppr);
  });
});
