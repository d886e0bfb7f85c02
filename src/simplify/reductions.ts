/**
 * Ways to make a case simpler, from the coarse to the fine. Each pass proposes whole cases and judges none; a proposal
 * may turn out heavier than the case it came from, and the reducer drops it.
 */
import { vpsPerBank } from '../abi/hypercall.ts';
import { type Case, makeStep, makeVcpu, type Step, type VcpuSetup } from '../case/case.ts';
import { caseLimits } from '../case/limits.ts';
import {
  ascending,
  between,
  callsOf,
  type Pass,
  sublists,
  withCall,
  withSteps,
  withTargets,
  withVcpus,
} from './edits.ts';
import { defaultGuestOsId, defaultVmmAnswer } from '../case/machine.ts';
import { oddNeighbourFields, plainNeighbour } from '../case/neighbour.ts';
import { actorOf, isCall, withActor } from '../case/steps/kinds.ts';

function* fewerSteps(value: Case): Generator<Case> {
  for (const steps of sublists(value.steps)) if (steps.length > 0) yield withSteps(value, steps);
}

/** Beyond this, vCPUs are looked at in groups: to run a machine of many takes seconds. */
export const fewVcpus = 16;

/** A machine of many becomes one of few before anything else: those of which steps speak, with ever smaller groups of others. */
function* muchFewerVcpus(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  if (vcpus.length <= fewVcpus) return;
  const actors = new Set(value.steps.map((step) => actorOf(step) ?? 0));
  const others = [...vcpus.keys()].filter((position) => !actors.has(position));
  for (let parts = 1; parts <= fewVcpus && parts <= others.length; parts *= 2) {
    const size = Math.ceil(others.length / parts);
    for (let start = 0; start < others.length; start += size) {
      const gone = new Set(others.slice(start, start + size));
      yield* keepVcpus(
        value,
        [...vcpus.keys()].filter((position) => !gone.has(position)),
      );
    }
  }
}

function* fewerVcpus(value: Case): Generator<Case> {
  const positions = value.machine.vcpus.map((_, position) => position);
  for (const kept of sublists(positions)) {
    if (kept.length === 0) continue;
    yield* keepVcpus(value, kept);
  }
}

/** Sets of many VPs become those that the machine has, and then one of these, before each bit is looked at. */
function* muchFewerTargets(value: Case): Generator<Case> {
  const vpIndexes = new Set(value.machine.vcpus.map(({ vpIndex }) => vpIndex));
  for (const [index, { targets }] of callsOf(value)) {
    if (targets.length <= fewTargets) continue;
    const present = targets.filter((vp) => vpIndexes.has(vp));
    for (const kept of sublists(present)) yield withCall(value, index, (call) => ({ ...call, targets: kept }));
  }
}

/** Sets of more are made smaller before anything else is looked at. */
const fewTargets = 8;

/** The case with some of its vCPUs: steps of the others go too, or are sent by the first one that stays. */
function* keepVcpus(value: Case, kept: readonly number[]): Generator<Case> {
  const smaller = withVcpus(
    value,
    kept.map((position) => value.machine.vcpus[position]!),
  );
  const renumbered = (step: Step): Step => withActor(step, Math.max(0, kept.indexOf(actorOf(step) ?? 0)));
  const own = value.steps.filter((step) => {
    const actor = actorOf(step);
    return actor === null || kept.includes(actor);
  });
  if (own.length > 0) yield withSteps(smaller, own.map(renumbered));
  const all = withSteps(smaller, value.steps.map(renumbered));
  if (own.length < value.steps.length) yield all;
  if (kept.every((position, index) => position === index)) return;
  // A vCPU that is not where it was may have shown the problem because VP index and position were not the same.
  const former = smaller.machine.vcpus.map((vcpu, index) => ({ ...vcpu, vpIndex: kept[index]! }));
  const rename = new Map(smaller.machine.vcpus.map((vcpu, index) => [vcpu.vpIndex, kept[index]!]));
  yield withTargets(withVcpus(all, former), rename);
}

const plainVcpu = makeVcpu({});
/** Fields of a vCPU but its VP index, which has passes of its own. */
const vcpuFields = (Object.keys(plainVcpu) as (keyof VcpuSetup)[]).filter((name) => name !== 'vpIndex');

/** No neighbour, and else one of whose fields has its default. */
function plainerNeighbours(neighbour: Case['machine']['neighbour']): Case['machine']['neighbour'][] {
  if (neighbour === null) return [];
  return [null, ...oddNeighbourFields(neighbour).map((name) => ({ ...neighbour, [name]: plainNeighbour[name] }))];
}

function* plainMachine(value: Case): Generator<Case> {
  const { vcpus, ...machine } = value.machine;
  const plain = {
    irqchip: 'kernel',
    xen: false,
    guestOsId: defaultGuestOsId,
    vmmAnswer: defaultVmmAnswer,
    neighbour: null,
  } as const;
  const schedules = machine.schedule === null ? [] : [null, 0, 1, 2, 3].map((schedule) => ({ schedule }));
  const parts = [
    { irqchip: plain.irqchip },
    { irqchip: 'split' as const },
    { xen: plain.xen },
    { guestOsId: plain.guestOsId },
    { vmmAnswer: plain.vmmAnswer },
    { xen: true },
    ...plainerNeighbours(machine.neighbour).map((neighbour) => ({ neighbour })),
  ];
  for (const change of [plain, ...parts, ...schedules]) {
    yield { ...value, machine: { ...machine, ...change, vcpus } };
  }
  yield withVcpus(
    value,
    vcpus.map(({ vpIndex }) => makeVcpu({ vpIndex })),
  );
  // One field of all: fewer attempts where each that succeeds costs a boot, and ids that changed places go together.
  for (const name of vcpuFields) {
    yield withVcpus(
      value,
      vcpus.map((vcpu) => ({ ...vcpu, [name]: plainVcpu[name] })),
    );
  }
  // Without GUEST_OS_ID nobody has Hyper-V.
  const withHyperv = vcpus.map((vcpu) => ({ ...vcpu, lacks: vcpu.lacks.filter((name) => name !== 'hyperv') }));
  yield { ...value, machine: { ...machine, guestOsId: 0n, vcpus: withHyperv } };
  if (vcpus.length > fewVcpus) return;
  for (const [position, vcpu] of vcpus.entries()) {
    const changed: VcpuSetup[] = [
      makeVcpu({ vpIndex: vcpu.vpIndex }),
      ...vcpuFields.map((name) => ({ ...vcpu, [name]: plainVcpu[name] })),
      { ...vcpu, apic: 'software-disabled' },
      { ...vcpu, idle: 'uninitialized' },
      ...(vcpu.eoi === 'none' ? [] : [{ ...vcpu, eoi: 'apic' as const }]),
      { ...vcpu, idle: 'halted' },
      ...(vcpu.lacks.length === 0 ? [] : [{ ...vcpu, lacks: ['cluster-ipi' as const] }]),
      ...[...sublists(vcpu.lacks)].map((lacks) => ({ ...vcpu, lacks })),
      ...(['irr', 'isr', 'autoEoi'] as const).flatMap((name) =>
        [...sublists(vcpu[name])].map((list) => ({ ...vcpu, [name]: list })),
      ),
      ...[...between(BigInt(vcpu.tpr), 0n)].map((tpr) => ({ ...vcpu, tpr: Number(tpr) })),
    ];
    for (const other of changed) yield withVcpus(value, vcpus.with(position, other));
  }
}

/** Vectors that are taken by a thread of a vCPU are taken in a `run` step instead, at the end or after each call. */
function* parkedMachine(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  if (vcpus.every(({ idle }) => idle === 'parked')) return;
  const parked = withVcpus(
    value,
    vcpus.map((vcpu) => ({ ...vcpu, idle: 'parked' })),
  );
  const run = makeStep({ do: 'run' });
  if (value.steps.length < caseLimits.steps) yield withSteps(parked, [...value.steps, run]);
  if (value.steps.length * 2 <= caseLimits.steps) {
    yield withSteps(
      parked,
      value.steps.flatMap((step) => (step.do === 'run' ? [step] : [step, run])),
    );
  }
}

/** VP indexes equal to positions: all at once, then one by one, with the targets that name them or without. */
function* plainVpIndexes(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  const all = withVcpus(
    value,
    vcpus.map((vcpu, position) => ({ ...vcpu, vpIndex: position })),
  );
  yield withTargets(all, new Map(vcpus.map((vcpu, position) => [vcpu.vpIndex, position])));
  yield all;
  if (vcpus.length > fewVcpus) return;
  for (const [position, { vpIndex }] of vcpus.entries()) {
    for (const other of plainerVpIndexes(vpIndex, position)) {
      const moved = withVcpus(value, vcpus.with(position, { ...vcpus[position]!, vpIndex: other }));
      const rename = new Map([[vpIndex, other]]);
      yield withTargets(moved, rename);
      yield moved;
      const together = vcpus.map((vcpu) => (vcpu.vpIndex === vpIndex ? { ...vcpu, vpIndex: other } : vcpu));
      yield withTargets(withVcpus(value, together), rename);
    }
  }
}

/** Two VP indexes change places, in the machine and in all calls. */
function* swappedVpIndexes(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  const named = value.steps.flatMap((step) => (isCall(step) ? step.targets : []));
  const all = ascending([...vcpus.map(({ vpIndex }) => vpIndex), ...named]);
  // Only what is small already: the pairs of large sets are too many to try.
  if (all.length > 6) return;
  for (const [index, one] of all.entries()) {
    for (const other of all.slice(index + 1)) {
      const swap = (vpIndex: number): number => (vpIndex === one ? other : vpIndex === other ? one : vpIndex);
      const swapped = withVcpus(
        value,
        vcpus.map((vcpu) => ({ ...vcpu, vpIndex: swap(vcpu.vpIndex) })),
      );
      yield withTargets(
        swapped,
        new Map([
          [one, other],
          [other, one],
        ]),
      );
    }
  }
}

/** The position, the same bit of a lower bank, the first bit of the same bank, then whatever is lower. */
function* plainerVpIndexes(vpIndex: number, position: number): Generator<number> {
  const bit = vpIndex % vpsPerBank;
  yield position;
  for (const first of between(BigInt(vpIndex - bit), 0n)) yield Number(first) - (Number(first) % vpsPerBank) + bit;
  yield vpIndex - bit;
  for (const other of between(BigInt(vpIndex), BigInt(position))) yield Number(other);
  yield 0;
}

/** The sender becomes the first vCPU: by name, or by moving the sending vCPU there. */
function* plainSender(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  yield withSteps(
    value,
    value.steps.map((step) => (isCall(step) ? { ...step, sender: 0 } : step)),
  );
  for (const [index, step] of value.steps.entries()) {
    if (!isCall(step) || step.sender === 0) continue;
    yield withCall(value, index, (call) => ({ ...call, sender: 0 }));
    yield* swapWithFirst(value, vcpus, step.sender);
  }
}

function* swapWithFirst(value: Case, vcpus: readonly VcpuSetup[], position: number): Generator<Case> {
  const swap = (sender: number): number => (sender === 0 ? position : sender === position ? 0 : sender);
  const order = vcpus.map((_, index) => vcpus[swap(index)]!);
  const steps = value.steps.map((step) => withActor(step, swap(actorOf(step) ?? 0)));
  const swapped = withSteps(withVcpus(value, order), steps);
  yield swapped;
  // The VP indexes stay where they were and the targets follow, so that the machine does not get harder to read.
  const inPlace = order.map((vcpu, index) => ({ ...vcpu, vpIndex: vcpus[index]!.vpIndex }));
  yield withTargets(
    withVcpus(swapped, inPlace),
    new Map(order.map((vcpu, index) => [vcpu.vpIndex, vcpus[index]!.vpIndex])),
  );
}

export const machinePasses: readonly Pass[] = [
  muchFewerVcpus,
  fewerSteps,
  fewerVcpus,
  muchFewerTargets,
  plainMachine,
  parkedMachine,
];
export const vpIndexPasses: readonly Pass[] = [plainVpIndexes, swappedVpIndexes, plainSender];
