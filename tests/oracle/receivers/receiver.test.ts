import { describe, expect, it } from 'vitest';
import { APIC_IRR, APIC_ISR } from '../../../src/abi/lapic.ts';
import { type ActStep, makeCase, makeStep, type VcpuSetup } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { vectorsOf } from '../../../oracle/state/machine.ts';
import { predict } from '../../../oracle/model.ts';
import { facts } from '../programs.ts';

type Do = Partial<ActStep> | number;
const [tpr, ppr] = [0x80, 0xa0];

/** What one vCPU does: a number is a call that sends it that vector, anything else an act. */
function live(setup: Partial<VcpuSetup>, ...does: Do[]) {
  const steps = does.map((each) =>
    typeof each === 'number'
      ? makeStep({ do: 'send-ipi', vector: each, targets: [0] })
      : makeStep({ do: 'act', ...each }),
  );
  const outcome = predict(encodeCase(makeCase([setup], steps)), facts);
  const last = outcome.steps.at(-1)!;
  return {
    arrivals: outcome.steps.filter((_, index) => typeof does[index] !== 'number').map((step) => step.arrivals[0]!),
    priorities: outcome.steps.map((step) => step.priorities[0]!),
    irr: vectorsOf(last.lapics[0]!, APIC_IRR),
    isr: vectorsOf(last.lapics[0]!, APIC_ISR),
    tpr: last.lapics[0]!.get(tpr) ?? 0,
    ppr: last.lapics[0]!.get(ppr) ?? 0,
    posture: last.postures[0]!,
  };
}

const take = { act: 'take' } as const;
const enter = { act: 'enter' } as const;
const leave = { act: 'leave' } as const;
const eoi = { act: 'eoi' } as const;

describe('enter', () => {
  it('should stay in the handler of the highest vector, with the others pending', () => {
    expect(live({}, 0x30, 0x90, enter)).toMatchObject({
      arrivals: [[0x90]],
      irr: [0x30],
      isr: [0x90],
      ppr: 0x90,
      posture: { depth: 1, waitsAt: null },
    });
  });

  it('should do nothing where nothing can be taken', () => {
    expect(live({ tpr: 3 }, 0x30, enter)).toMatchObject({ arrivals: [[]], irr: [0x30], posture: { depth: 0 } });
  });

  it.each([
    ['a higher class', 0x90, [0x90], []],
    ['its own class, even from a higher vector', 0x8f, [], [0x8f]],
    ['a lower class', 0x7f, [], [0x7f]],
    ['its own vector', 0x80, [], [0x80]],
  ])('should be interrupted by %s or not', (_, vector, taken, pending) => {
    expect(live({}, 0x80, enter, vector, take)).toMatchObject({ arrivals: [[0x80], taken], irr: pending, isr: [0x80] });
  });
});

describe('leave', () => {
  it('should acknowledge the innermost handler and take what that lets in', () => {
    const three = live({}, 0x30, enter, 0x50, enter, 0x40, leave);
    expect(three).toMatchObject({ arrivals: [[0x30], [0x50], [0x40]], isr: [0x30], ppr: 0x30, posture: { depth: 1 } });
  });

  it('should do nothing outside of a handler', () => {
    expect(live({ isr: [0x40] }, 0x30, leave)).toMatchObject({ arrivals: [[]], irr: [0x30], isr: [0x40] });
  });
});

describe('set-tpr', () => {
  it.each([
    ['blocks its class', 5, 0x5f, []],
    ['lets the next class in', 4, 0x50, [0x50]],
  ])('should be such that it %s', (_, priorityClass, vector, taken) => {
    const { arrivals, tpr: written, ppr: follows } = live({}, { act: 'set-tpr', tpr: priorityClass }, vector, take);
    expect(arrivals).toEqual([[], taken]);
    expect([written, follows]).toEqual([priorityClass << 4, priorityClass << 4]);
  });

  it('should take before and behind the write where interrupts are on, and nothing where they are off', () => {
    const lower = { act: 'set-tpr', tpr: 2 } as const;
    expect(live({ tpr: 5 }, 0x30, 0x60, { ...lower, open: true })).toMatchObject({ arrivals: [[0x60, 0x30]], irr: [] });
    expect(live({ tpr: 5 }, 0x30, 0x60, lower)).toMatchObject({ arrivals: [[]], irr: [0x60, 0x30] });
  });
});

describe('eoi', () => {
  it('should be for the highest vector in service', () => {
    expect(live({ isr: [0x30, 0x50] }, eoi)).toMatchObject({ isr: [0x30], ppr: 0x30 });
    expect(live({}, eoi)).toMatchObject({ isr: [], ppr: 0 });
  });
});

describe('wait', () => {
  it('should take what is pending before it waits with interrupts on, and the rest as it goes on', () => {
    const { arrivals, posture } = live({}, 0x30, { act: 'wait' }, 0x40, take);
    expect(arrivals).toEqual([[0x30], [0x40]]);
    expect(posture.waitsAt).toBeNull();
  });

  it.each(['sti-shadow', 'mov-ss-shadow', 'hlt'] as const)('should take nothing before it goes on from %s', (at) => {
    expect(live({}, 0x30, { act: 'wait', at })).toMatchObject({ arrivals: [[]], posture: { waitsAt: at } });
    expect(live({}, 0x30, { act: 'wait', at }, 0x40, take).arrivals).toEqual([[], [0x40, 0x30]]);
  });

  it('should be forgotten when the vCPU makes a call', () => {
    expect(live({}, { act: 'wait', at: 'hlt' }, 0x40).posture.waitsAt).toBeNull();
  });
});

describe('acknowledging', () => {
  it('should leave vectors in service where handlers do not', () => {
    expect(live({ eoi: 'none' }, 0x30, 0x50, take)).toMatchObject({ arrivals: [[0x50]], irr: [0x30], isr: [0x50] });
    expect(live({ eoi: 'none' }, 0x50, enter, leave)).toMatchObject({ isr: [0x50], posture: { depth: 0 } });
  });

  it('should come with the interrupt where a SINT has auto-EOI', () => {
    const auto = { eoi: 'none', autoEoi: [0x50] } as const;
    expect(live({ ...auto, autoEoi: [0x50] }, 0x30, 0x50, take)).toMatchObject({
      arrivals: [[0x50, 0x30]],
      isr: [0x30],
    });
    expect(live({ ...auto, autoEoi: [0x50] }, 0x50, enter)).toMatchObject({ isr: [], ppr: 0, posture: { depth: 1 } });
  });

  it('should be for what an auto-EOI handler interrupted where that handler writes EOI', () => {
    expect(live({ autoEoi: [0x60] }, 0x40, enter, 0x60, take)).toMatchObject({ arrivals: [[0x40], [0x60]], isr: [] });
  });
});

describe('PPR of handlers', () => {
  it('should be their class, or TPR where that is higher, and what it was for an auto-EOI vector', () => {
    expect(live({ logsPpr: true }, 0x35, 0x92, take).priorities.at(-1)).toEqual([0x90, 0x30]);
    expect(live({ logsPpr: true, isr: [0x20] }, 0x35, take).priorities.at(-1)).toEqual([0x30]);
    expect(live({ logsPpr: true, autoEoi: [0x92], tpr: 4 }, 0x92, take).priorities.at(-1)).toEqual([0x40]);
    expect(live({}, 0x35, take).priorities.at(-1)).toEqual([]);
  });
});
