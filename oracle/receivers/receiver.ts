/**
 * A vCPU as a receiver: which pending vectors it takes when, in which handlers it is, and at which point it waits. Pure:
 * a state in, a state and the handlers that began out. Source: SDM volume 3 "Interrupt Acceptance for Fixed Interrupts",
 * "Signaling Interrupt Servicing Completion"; kvm_apic_has_interrupt, kvm_apic_ack_interrupt, apic_set_eoi,
 * __apic_update_ppr in lapic.c; docs/semantics.md 5.5, 5.10, 5.11.
 */
import { APIC_IRR, APIC_ISR, APIC_PROCPRI, APIC_TASKPRI } from '../../src/abi/lapic.ts';
import type { VcpuSetup } from '../../src/case/case.ts';
import type { LapicChanges } from '../../src/program/observation.ts';
import type { ProgramOf } from '../../src/program/program.ts';
import { priorityClass, type takeableVectors, vectorsOf, withBit, withoutPending, withWord } from '../state/machine.ts';

/** What a vCPU is in the middle of, besides what its local APIC holds. */
export interface Posture {
  /** Number of handlers that it stays in. */
  readonly depth: number;
  readonly waitsAt: ProgramOf<'act'>['at'] | null;
}

export const idlePosture: Posture = { depth: 0, waitsAt: null };

/** Handlers that began, in order, with PPR at their beginning; and what the APIC holds afterwards. */
export interface Taken {
  readonly lapic: LapicChanges;
  readonly vectors: readonly number[];
  readonly priorities: readonly number[];
}

/** The parts of a model that say how a receiver works. */
export interface ReceiverParts {
  /** Pending vectors that a vCPU with interrupts on can take one after the other, highest first. */
  readonly takeable: typeof takeableVectors;
  readonly acknowledge: typeof acknowledge;
  /** Whether a vector is acknowledged as it is taken, so that it is never in service. */
  readonly isAutoEoi: typeof isAutoEoi;
}

type Setup = Pick<VcpuSetup, 'eoi' | 'autoEoi' | 'logsPpr'>;

/** Whether an unmasked SINT with auto-EOI has the vector (kvm_hv_synic_auto_eoi_set); the SynIC need not be enabled. */
export function isAutoEoi({ autoEoi }: Pick<VcpuSetup, 'autoEoi'>, vector: number): boolean {
  return autoEoi.includes(vector);
}

/** EOI, by whichever way: the highest vector in service is in service no more (apic_set_eoi). */
export function acknowledge(lapic: LapicChanges): LapicChanges {
  const [highest] = vectorsOf(lapic, APIC_ISR);
  return highest === undefined ? lapic : withPriority(withBit(lapic, APIC_ISR, highest, false));
}

/** Takes everything that can be taken, one handler after the other. */
export function takeAll(lapic: LapicChanges, setup: Setup, parts: ReceiverParts): Taken {
  const isPlain = setup.eoi !== 'none' && setup.autoEoi.length === 0 && vectorsOf(lapic, APIC_ISR).length === 0;
  if (!isPlain) return takeOneByOne(lapic, setup, parts);
  // Each handler's EOI is for itself, and PPR is what it was: the rest can be taken as if nothing had been.
  const vectors = parts.takeable(lapic);
  if (vectors.length === 0) return nothingTaken(lapic);
  const priorities = setup.logsPpr ? vectors.map((vector) => vector & 0xf0) : [];
  return { lapic: withoutPending(lapic, vectors), vectors, priorities };
}

/** What an `act` step does; its vCPU's local APIC is enabled. */
export function perform(
  act: ProgramOf<'act'>,
  { lapic, posture, setup }: { readonly lapic: LapicChanges; readonly posture: Posture; readonly setup: Setup },
  parts: ReceiverParts,
): Taken & { readonly posture: Posture } {
  const { depth } = posture;
  switch (act.act) {
    case 'take':
      return done(takeAll(lapic, setup, parts), depth, null);
    case 'enter': {
      const [vector] = parts.takeable(lapic);
      if (vector === undefined) return done(nothingTaken(lapic), depth, null);
      return done(begin(lapic, vector, setup, parts), depth + 1, null);
    }
    case 'leave': {
      if (depth === 0) return done(nothingTaken(lapic), depth, null);
      const left = setup.eoi === 'none' ? lapic : parts.acknowledge(lapic);
      return done(takeAll(left, setup, parts), depth - 1, null);
    }
    case 'set-tpr':
    case 'eoi': {
      const before = act.open ? takeAll(lapic, setup, parts) : nothingTaken(lapic);
      const written =
        act.act === 'eoi'
          ? parts.acknowledge(before.lapic)
          : withPriority(withWord(before.lapic, APIC_TASKPRI, 0, act.tpr << 4));
      return done(act.open ? joined(before, takeAll(written, setup, parts)) : nothingTaken(written), depth, null);
    }
    case 'wait':
      return done(act.at === 'open' ? takeAll(lapic, setup, parts) : nothingTaken(lapic), depth, act.at);
  }
}

function done(
  { lapic, vectors, priorities }: Taken,
  depth: number,
  waitsAt: Posture['waitsAt'],
): Taken & { readonly posture: Posture } {
  return { lapic, vectors, priorities, posture: { depth, waitsAt } };
}

function takeOneByOne(lapic: LapicChanges, setup: Setup, parts: ReceiverParts): Taken {
  let taken = nothingTaken(lapic);
  for (;;) {
    const [vector] = parts.takeable(taken.lapic);
    if (vector === undefined) return taken;
    const begun = joined(taken, begin(taken.lapic, vector, setup, parts));
    taken = setup.eoi === 'none' ? begun : { ...begun, lapic: parts.acknowledge(begun.lapic) };
  }
}

/** A handler begins: the vector is in service from now on, unless an auto-EOI SINT has it. */
function begin(lapic: LapicChanges, vector: number, setup: Setup, parts: ReceiverParts): Taken {
  const rest = withBit(lapic, APIC_IRR, vector, false);
  const after = parts.isAutoEoi(setup, vector) ? rest : withPriority(withBit(rest, APIC_ISR, vector, true));
  return { lapic: after, vectors: [vector], priorities: setup.logsPpr ? [priorityClass(after) << 4] : [] };
}

/** The page with the PPR that follows from TPR and ISR. */
function withPriority(lapic: LapicChanges): LapicChanges {
  return withWord(lapic, APIC_PROCPRI, 0, priorityClass(lapic) << 4);
}

function nothingTaken(lapic: LapicChanges): Taken {
  return { lapic, vectors: [], priorities: [] };
}

function joined(first: Taken, second: Taken): Taken {
  return {
    lapic: second.lapic,
    vectors: [...first.vectors, ...second.vectors],
    priorities: [...first.priorities, ...second.priorities],
  };
}
