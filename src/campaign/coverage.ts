/**
 * Model coverage: which rules have decided, and under which circumstances. A pair is a rule and one value of one
 * dimension of the step that it decided; what no run has paired, no run has tested.
 */
import { bankCountMax, HVCALL_SEND_IPI, HVCALL_SEND_IPI_EX } from '../abi/hypercall.ts';
import type { Contract } from '../../oracle/contract.ts';
import type { Call } from '../../oracle/call/decode.ts';
import { stepRules } from '../../oracle/steps/steps.ts';
import { msrRules } from '../../oracle/msr.ts';
import type { Outcome, StepOutcome } from '../../oracle/outcome.ts';
import { kvmRules } from '../../oracle/call/rules.ts';
import { caseLimits, cpuidFeatures, eoiKinds, irqchips } from '../case/limits.ts';
import { waitPoints } from '../case/steps/act.ts';
import { environmentDimensions } from '../case/steps/environment.ts';
import { stepKinds } from '../case/steps/kinds.ts';
import { vcpuIdOf, xapicIdMax } from '../case/vcpus/vcpu-id.ts';
import type { Program, ProgramCall } from '../program/program.ts';
import { type Tier, tierOf, tiers } from '../program/tier.ts';

/** A call with what the model says of it. */
interface Circumstances {
  readonly program: Program;
  readonly tier: Tier;
  /** Position of the call. */
  readonly index: number;
  readonly step: ProgramCall;
  readonly call: Call;
  readonly outcome: StepOutcome;
}

/** One way to look at a call; every call has one of the values. */
interface Dimension {
  readonly name: string;
  readonly values: readonly string[];
  valueOf(circumstances: Circumstances): string;
}

const yesNo = ['yes', 'no'] as const;
const isYes = (condition: boolean): string => (condition ? 'yes' : 'no');
/** Counts of banks at which something changes: none, one, what XMM registers hold, 1024 VPs, all, more than all. */
const bankCounts = ['0', '1', '2-11', '12-16', '17-64', '65-1023'] as const;
const bankLimits = [0, 1, 11, 16, bankCountMax, Infinity] as const;
/** Vectors by the borders of what is legal and of what shares IDT entries with exceptions. */
const vectorRanges = ['0x0-0xf', '0x10-0x1f', '0x20-0xfe', '0xff', 'above'] as const;
const vectorLimits = [0xf, 0x1f, 0xfe, 0xff, Infinity] as const;
const receiverKinds = ['nobody', 'itself', 'another', 'many'] as const;
/** States of a vCPU that is reached by a call, the rarest first: the call counts for the first that one of them is in. */
const receiverStates = ['waiting', 'disabled', 'spinning', 'halted', 'busy', 'xapic', 'plain', 'none'] as const;

/** What a receiver is in the middle of, the rarest first: where it waits, a handler, nothing. */
const postures = [...waitPoints, 'handler', 'idle', 'none'] as const;
const eois = [...eoiKinds, 'auto', 'nobody'] as const;

function postureName({ depth, waitsAt }: StepOutcome['postures'][number]): (typeof postures)[number] {
  return waitsAt ?? (depth > 0 ? 'handler' : 'idle');
}

export const dimensions: readonly Dimension[] = [
  {
    name: 'call',
    values: ['0x000b', '0x0015', 'other'],
    valueOf: ({ call }) =>
      call.code === HVCALL_SEND_IPI ? '0x000b' : call.code === HVCALL_SEND_IPI_EX ? '0x0015' : 'other',
  },
  {
    name: 'format',
    values: ['none', 'sparse', 'all', 'unknown'],
    valueOf: ({ call: { code, format } }) => {
      if (code !== HVCALL_SEND_IPI_EX) return 'none';
      if (format.high !== 0 || format.low > 1) return 'unknown';
      return format.low === 1 ? 'all' : 'sparse';
    },
  },
  {
    name: 'vector',
    values: vectorRanges,
    valueOf: ({ call }) => vectorRanges[vectorLimits.findIndex((limit) => call.vector <= limit)]!,
  },
  {
    name: 'control',
    values: ['clean', 'reserved', 'rep', 'both'],
    valueOf: ({ call: { reserved, repCount, repStart } }) => {
      const isReserved = (reserved.low | reserved.high) !== 0;
      if ((repCount | repStart) === 0) return isReserved ? 'reserved' : 'clean';
      return isReserved ? 'both' : 'rep';
    },
  },
  { name: 'form', values: ['fast', 'slow'], valueOf: ({ call }) => (call.isFast ? 'fast' : 'slow') },
  ...environmentDimensions.map(({ name, values, of }) => ({
    name,
    values,
    valueOf: ({ step }: Circumstances) => of(step.environment),
  })),
  {
    name: 'vcpus',
    values: ['1-8', '9-255', '256-1024'],
    valueOf: ({ program: { vcpus } }) => (vcpus.length > 255 ? '256-1024' : vcpus.length > 8 ? '9-255' : '1-8'),
  },
  {
    name: 'last-id',
    values: ['0-254', '255-4094', '4095'],
    valueOf: ({ program: { vcpus } }) => {
      const last = vcpuIdOf(vcpus.at(-1)!, vcpus.length - 1);
      return last > xapicIdMax ? (last === caseLimits.vcpuId ? '4095' : '255-4094') : '0-254';
    },
  },
  { name: 'irqchip', values: irqchips, valueOf: ({ program }) => program.machine.irqchip },
  { name: 'tier', values: tiers, valueOf: ({ tier }) => tier },
  { name: 'xen', values: yesNo, valueOf: ({ program }) => isYes(program.machine.xen !== false) },
  {
    name: 'neighbour',
    values: ['none', 'quiet', 'busy', 'gone', 'long-gone'],
    valueOf: ({ program: { machine } }) => {
      const { neighbour } = machine;
      if (neighbour === null) return 'none';
      return neighbour.life !== 'beside' ? neighbour.life : neighbour.busy ? 'busy' : 'quiet';
    },
  },
  {
    name: 'neighbour-kind',
    values: ['none', 'plain', 'no-lapic', 'no-hyperv', 'apic-off', 'xen', 'xen-flag'],
    valueOf: ({ program: { machine } }) => kindOfNeighbour(machine.neighbour),
  },
  { name: 'guest-os-id', values: yesNo, valueOf: ({ call }) => isYes(call.caller.hasGuestOsId) },
  { name: 'enforced', values: yesNo, valueOf: ({ call }) => isYes(call.caller.isEnforced) },
  {
    name: 'lacks',
    values: ['nothing', ...cpuidFeatures, 'several'],
    valueOf: ({ call: { caller } }) => (caller.lacks.length > 1 ? 'several' : (caller.lacks[0] ?? 'nothing')),
  },
  {
    name: 'banks',
    values: bankCounts,
    valueOf: ({ call }) => bankCounts[bankLimits.findIndex((limit) => call.variableHeader <= limit)]!,
  },
  {
    name: 'receivers',
    values: receiverKinds,
    valueOf: ({ outcome: { receivers }, step }) => {
      if (receivers.length > 1) return 'many';
      return receivers.length === 0 ? 'nobody' : receivers[0] === step.sender ? 'itself' : 'another';
    },
  },
  {
    name: 'posture',
    values: postures,
    valueOf: ({ outcome: { receivers, postures: now } }) => {
      let rarest = postures.length - 1;
      for (const position of receivers) rarest = Math.min(rarest, postures.indexOf(postureName(now[position]!)));
      return postures[rarest]!;
    },
  },
  {
    name: 'eoi',
    values: eois,
    valueOf: ({ program: { vcpus }, outcome: { receivers }, call }) => {
      const first = vcpus[receivers[0] ?? -1];
      if (first === undefined) return 'nobody';
      return first.autoEoi.includes(call.vector) ? 'auto' : first.eoi;
    },
  },
  ...marks(),
  { name: 'receiver', values: receiverStates, valueOf: ({ program, outcome }) => stateOfReceivers(program, outcome) },
];

/** What the last step of a kind says of the calls behind it, for the kinds that say something. */
function marks(): Dimension[] {
  return Object.entries(stepKinds).flatMap(([kind, { mark }]) => {
    if (mark === null) return [];
    const { name, values, none } = mark;
    const of = mark.of as (step: object) => string;
    const valueOf = ({ program: { steps }, index }: Circumstances): string => {
      for (let at = index - 1; at >= 0; at--) if (steps[at]!.kind === kind) return of(steps[at]!);
      return none;
    };
    return [{ name, values, valueOf }];
  });
}

/** What may show of a neighbour, the first of these that it has. */
function kindOfNeighbour(neighbour: Program['machine']['neighbour']): string {
  if (neighbour === null) return 'none';
  if (neighbour.xen !== 'none') return neighbour.xen === 'msr' ? 'xen' : 'xen-flag';
  if (neighbour.irqchip === 'none') return 'no-lapic';
  if (!neighbour.hyperv) return 'no-hyperv';
  return neighbour.apic === 'software-disabled' || neighbour.apic === 'hardware-disabled' ? 'apic-off' : 'plain';
}

function stateOfReceivers({ vcpus }: Program, { receivers, apics }: StepOutcome): (typeof receiverStates)[number] {
  if (receivers.length === 0) {
    const isDisabled = apics.some((apic) => !apic.isHardwareEnabled || !apic.isSoftwareEnabled);
    return isDisabled ? 'disabled' : 'none';
  }
  let rarest = receiverStates.length - 1;
  for (const position of receivers) rarest = Math.min(rarest, receiverStates.indexOf(stateOf(vcpus[position]!)));
  return receiverStates[rarest]!;
}

function stateOf({ idle, tpr, irr, isr, apic }: Program['vcpus'][number]): (typeof receiverStates)[number] {
  if (idle === 'uninitialized' || idle === 'init-received') return 'waiting';
  if (idle === 'spinning' || idle === 'halted') return idle;
  if (tpr > 0 || irr.length + isr.length > 0) return 'busy';
  return apic === 'xapic' ? 'xapic' : 'plain';
}

/** Names of the rules that the KVM under test can reach at all. */
export function reachableRules(contract: Contract): string[] {
  const ofCalls = kvmRules.filter((rule) => rule.isReachable?.(contract) ?? true);
  return [...ofCalls, ...msrRules].map(({ name }) => name).concat(stepRules);
}

/** Value of each dimension for a step, in the order of the dimensions; none for a step that is no call. */
export function circumstancesOf(
  program: Program,
  { steps }: Outcome,
  index: number,
  tier: Tier = tierOf(program),
): string[] {
  const step = program.steps[index]!;
  const outcome = steps[index]!;
  const { call } = outcome;
  if (step.kind !== 'call' || call === null) return [];
  const circumstances = { program, tier, index, step, call, outcome };
  return dimensions.map((dimension) => dimension.valueOf(circumstances));
}

export class Coverage {
  /** Of each rule, the values that were met, by dimension; none for rules of steps that are no calls. */
  readonly #met = new Map<string, Set<string>[]>();
  #pairs = 0;

  /** Notes what a program hits; how many pairs are new. */
  add(program: Program, outcome: Outcome): number {
    const before = this.#pairs;
    const tier = tierOf(program);
    for (let index = 0; index < program.steps.length; index++) {
      const met = this.#metBy(outcome.steps[index]!.rule);
      const values = circumstancesOf(program, outcome, index, tier);
      for (let place = 0; place < values.length; place++) {
        if (met[place]!.has(values[place]!)) continue;
        met[place]!.add(values[place]!);
        this.#pairs++;
      }
    }
    return this.#pairs - before;
  }

  /** Number of pairs of a rule and a dimension's value; a rule that has decided counts as a pair of its own. */
  get pairs(): number {
    return this.#pairs;
  }

  get rules(): ReadonlySet<string> {
    return new Set(this.#met.keys());
  }

  /** `dimension=value` of everything that no call has had. */
  get unmetValues(): string[] {
    return dimensions.flatMap(({ name, values }, place) =>
      values
        .filter((value) => ![...this.#met.values()].some((met) => met[place]!.has(value)))
        .map((value) => `${name}=${value}`),
    );
  }

  /** The pairs as a plain value: of each rule, the values by dimension. */
  toJson(): Record<string, Record<string, string[]>> {
    const rules = [...this.#met].sort(([left], [right]) => left.localeCompare(right));
    return Object.fromEntries(
      rules.map(([rule, met]) => [
        rule,
        Object.fromEntries(dimensions.map(({ name }, place) => [name, [...met[place]!].sort()])),
      ]),
    );
  }

  /** A copy to try things out on. */
  clone(): Coverage {
    const copy = new Coverage();
    for (const [rule, met] of this.#met) {
      copy.#met.set(
        rule,
        met.map((values) => new Set(values)),
      );
    }
    copy.#pairs = this.#pairs;
    return copy;
  }

  #metBy(rule: string): Set<string>[] {
    let met = this.#met.get(rule);
    if (met === undefined) {
      met = dimensions.map(() => new Set<string>());
      this.#met.set(rule, met);
      this.#pairs++;
    }
    return met;
  }
}
