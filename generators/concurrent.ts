/**
 * Concurrent cases: bursts of plain calls by up to three senders at once, to vCPUs that sleep, spin or are parked. A
 * fence ends each burst. The lab has two CPUs, so most machines have at most two vCPUs that run.
 */
import type fc from 'fast-check';
import { extendedCallBit, HV_IPI_LOW_VECTOR } from '../src/abi/hypercall.ts';
import { type Case, type Machine, makeStep, type Step, type VcpuSetup } from '../src/case/case.ts';
import { caseLimits, runsMeanwhile } from '../src/case/limits.ts';
import { buildCall, type CallPlan, callPlan } from './call/call.ts';
import { moveVpPlan } from './steps/write-msr.ts';
import { vcpuNumber, vcpuNumbers } from './integers.ts';
import { buildMachine, effectiveVpIndexes, type MachinePlan, machinePlan } from './machine/machine.ts';
import { among, choice, integer, just, list, planOf, sometimes } from './plan.ts';
import { type Feature, featureWeights, type Swarm } from './swarm.ts';
import type { StepOf } from '../src/case/steps/kinds.ts';
import { isWellFormed } from '../src/case/checks.ts';
import { canHalt } from '../src/case/machine.ts';
import { caseSchemaName } from '../src/case/schema.ts';

type Role = Extract<VcpuSetup['idle'], 'parked' | 'halted' | 'spinning'> | 'as-drawn';

/**
 * Where the vectors of a case meet, if they do: in a word of IRR and TMR, which several may write at once; in a priority class,
 * where one that is taken blocks the others; or all are the same one.
 */
type Meeting = 'word' | 'class' | 'vector';

/** What the VMM does meanwhile. */
type RaceDeed = 'interrupt' | 'log-dirty';

export interface ConcurrentPlan {
  readonly machine: MachinePlan;
  readonly schedule: number;
  /** What each vCPU does that does not send. */
  readonly roles: readonly Role[];
  /** How many vCPUs send, from which position on. */
  readonly senders: number;
  readonly firstSender: number;
  readonly meeting: Meeting | null;
  /** Whether all calls go to the targets of the first one. */
  readonly isTogether: boolean;
  /** Whether all calls are of the first one's kind and form: those that are made at once then go the same way through KVM. */
  readonly isAlike: boolean;
  readonly first: CallPlan;
  /** Null is a `run` step. */
  readonly rest: readonly (CallPlan | StepOf<'write-msr'> | RaceDeed | null)[];
}

const scheduleMax = 2 ** 32 - 1;
/** Bits of a vector in which those that meet differ. */
const meetingBits: Readonly<Record<Meeting, number>> = { word: 0x1f, class: 0xf, vector: 0 };
/** Beside a sender one vCPU can spin without taking turns with it. */
const spinningMax = 2;

/** What a swarm is for concurrent cases: bare calls on plain platforms, and vectors that repeat more often. */
function calmed(swarm: Swarm): Swarm {
  const weights: Record<Feature, number> = { ...swarm.weights, 'break.address': 0, 'odd.address': 0 };
  weights['vector.repeated'] = Math.max(weights['vector.repeated'], weights['vector.distinct'] / 2);
  weights['set.vcpu'] = 3 * Math.max(weights['set.vcpu'], featureWeights['set.vcpu']);
  weights['apic.hardwareDisabled'] = 0;
  return {
    ...swarm,
    weights,
    stepCountMax: caseLimits.steps,
    platform: null,
    isLarge: false,
    huge: null,
    environmentPercent: 0,
    compatPercent: 0,
    flagsPercent: 0,
    noGuestOsIdPercent: 0,
    haltedPerMille: 0,
    breakCounts: [12, 1, 0],
  };
}

/** Draws plans. */
export function concurrentPlan(drawnSwarm: Swarm): fc.Arbitrary<ConcurrentPlan> {
  const swarm = calmed(drawnSwarm);
  const call = callPlan(swarm);
  const role = choice<Role>(
    { weight: 6, arbitrary: just('halted') },
    { weight: 3, arbitrary: just('spinning') },
    { weight: 2, arbitrary: just('parked') },
    { weight: 1, arbitrary: just('as-drawn') },
  );
  const step = choice<CallPlan | StepOf<'write-msr'> | RaceDeed | null>(
    { weight: 40, arbitrary: call },
    { weight: 2, arbitrary: just(null) },
    { weight: 2, arbitrary: moveVpPlan },
    { weight: 1, arbitrary: among<RaceDeed>('interrupt', 'log-dirty') },
  );
  const machine = machinePlan(swarm, 2);
  const schedule = integer(0, scheduleMax);
  const roles = list(role, vcpuNumbers, vcpuNumbers);
  const senders = among(1, 1, 2, 2, 2, 2, 2, 3);
  const firstSender = vcpuNumber;
  const meeting = among<Meeting | null>(null, null, null, 'word', 'word', 'class', 'vector');
  const isTogether = sometimes(1, 4, just(true), false);
  const isAlike = sometimes(2, 3, just(true), false);
  // A call more costs a race next to nothing beside its set-up, and is one chance more.
  const most = swarm.stepCountMax - 1;
  const rest = choice(
    { weight: 1, arbitrary: list(step, 0, most) },
    { weight: 2, arbitrary: list(step, Math.floor(most / 2), most) },
  );
  return planOf((source) => ({
    machine: source.draw(machine),
    schedule: source.draw(schedule),
    roles: source.draw(roles),
    senders: source.draw(senders),
    firstSender: source.draw(firstSender),
    meeting: source.draw(meeting),
    isTogether: source.draw(isTogether),
    isAlike: source.draw(isAlike),
    first: source.draw(call),
    rest: source.draw(rest),
  }));
}

/** The case of a plan. */
export function buildConcurrent(plan: ConcurrentPlan): Case {
  const drawn = buildMachine(plan.machine, null, plan.firstSender);
  const senders = sendersOf(plan, drawn.vcpus.length);
  const machine = withRoles(drawn, plan, senders);
  const vpIndexes = effectiveVpIndexes(machine);
  const usedVectors = new Set<number>();
  const movable = [...machine.vcpus.keys()].filter(
    (position) => !senders.includes(position) && !runsMeanwhile(machine.vcpus[position]!),
  );
  const steps: Step[] = [];
  for (const step of [plan.first, ...plan.rest].slice(0, caseLimits.steps - 1)) {
    if (step === null) {
      if (steps.at(-1)?.do !== 'run') steps.push(makeStep({ do: 'run' }));
    } else if (typeof step === 'string') {
      steps.push(makeStep({ do: 'vmm', does: step }));
    } else if ('vcpu' in step) {
      if (movable.length === 0) continue;
      const vcpu = movable[step.vcpu % movable.length]!;
      steps.push({ ...step, vcpu });
      vpIndexes[vcpu] = Number(step.value & 0xfffn);
    } else {
      const index = steps.length;
      const sender = senders[(step.sender ?? index) % senders.length]!;
      const call = buildCall(meetingCall(step, plan), {
        index,
        sender,
        vpIndexes,
        usedVectors,
        pages: [],
        sint: null,
        canOpen: false,
      });
      steps.push({ ...call, gpa: null, controlBits: call.controlBits.filter((bit) => bit !== extendedCallBit) });
    }
  }
  steps.push(makeStep({ do: 'run' }));
  const value: Case = { schema: caseSchemaName, why: '', origin: null, machine, steps };
  if (!isWellFormed(value)) throw new Error('a concurrent case that does not fit together was built');
  return value;
}

/** The call with a vector that meets those of the others, and with their targets and their form. */
function meetingCall(drawn: CallPlan, { first, meeting, isTogether, isAlike }: ConcurrentPlan): CallPlan {
  const targets = isTogether ? first.targets : drawn.targets;
  const { kind, fast } = isAlike ? first : drawn;
  const call = { ...drawn, targets, kind, fast };
  if (meeting === null) return call;
  const [base, own] = [first.vector.value, call.vector.value];
  const low = meetingBits[meeting];
  const value = Math.max((base & ~low) | (own & low), HV_IPI_LOW_VECTOR);
  return { ...call, vector: { value, distinct: false } };
}

function sendersOf({ senders, firstSender }: ConcurrentPlan, count: number): number[] {
  // One vCPU is left to receive, where there is more than one.
  const most = Math.max(1, Math.min(senders, count - 1));
  return Array.from({ length: most }, (_, place) => (firstSender + place) % count);
}

function withRoles(machine: Machine, { roles, schedule }: ConcurrentPlan, senders: readonly number[]): Machine {
  let spinning = senders.length;
  const vcpus = machine.vcpus.map((drawnVcpu, position): VcpuSetup => {
    const eoi = drawnVcpu.eoi === 'apic' ? 'apic' : 'hv-msr';
    const vcpu = { ...drawnVcpu, eoi, autoEoi: [], logsPpr: false } as const satisfies VcpuSetup;
    if (senders.includes(position)) return { ...vcpu, idle: 'parked' };
    const role = vcpu.apic === 'hardware-disabled' ? 'parked' : roles[position]!;
    if (role === 'halted' && canHalt(vcpu, machine.irqchip)) return { ...vcpu, idle: 'halted' };
    if (role === 'spinning' && spinning++ < spinningMax) return { ...vcpu, idle: 'spinning' };
    return role === 'as-drawn' ? vcpu : { ...vcpu, idle: 'parked' };
  });
  return { ...machine, schedule, vcpus: senders.length > 1 ? vcpus : withSomebodyRunning(vcpus, senders) };
}

/** A single sender races with nobody unless a receiver runs or sleeps. */
function withSomebodyRunning(vcpus: VcpuSetup[], senders: readonly number[]): VcpuSetup[] {
  if (vcpus.some(runsMeanwhile)) return vcpus;
  const free = vcpus.findIndex(({ idle, apic }, position) => {
    return idle === 'parked' && apic !== 'hardware-disabled' && !senders.includes(position);
  });
  return free === -1 ? vcpus : vcpus.with(free, { ...vcpus[free]!, idle: 'spinning' });
}
