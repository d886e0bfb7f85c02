/**
 * The `tlfs` contract: the set of outcomes that TLFS permits for each call, and where a call that KVM answered leaves
 * that set.
 *
 * Only the `kvm` model predicts state, because later steps see what KVM really did (it may deliver where TLFS wants an
 * error). An observation is first compared with the `kvm` outcome; a divergence is reported as such under either
 * contract. What matches equals that outcome, so the outcome is compared with TLFS, step by step. It follows that this
 * needs no observation: deviations can be shrunk without a target and then confirmed on it.
 */
import { bankCountMax } from '../../src/abi/hypercall.ts';
import type { ProgramOf, Program } from '../../src/program/program.ts';
import type { TargetFacts } from '../../src/executor/facts.ts';
import { atInstruction } from '../call/caller.ts';
import { type Contract, contractFor } from '../contract.ts';
import { bankHalf, type Call, decodeCall } from '../call/decode.ts';
import { acceptsInterrupts } from '../state/machine.ts';
import { ModelMemory } from '../state/memory.ts';
import { pageAddress } from '../msr.ts';
import { faultsShownBy } from '../kvm-faults.ts';
import type { Outcome, StepOutcome } from '../outcome.ts';
import { selectTargets } from '../call/targets.ts';
import { isAllVps, type TlfsRule, tlfsRules } from './tlfs-rules.ts';
import { popcount } from '../words.ts';

/** What TLFS permits for one call. Other registers, memory and LAPIC words are as in the `kvm` contract: unchanged. */
export interface Permitted {
  /** Rules of `tlfsRules` that apply. */
  readonly rules: readonly TlfsRule[];
  /** Whether status 0 is permitted: no rule that is certain applies. */
  readonly success: boolean;
  /** Other statuses that are permitted, ascending; null is any. */
  readonly errors: readonly number[] | null;
  /** Whether #UD is permitted. */
  readonly fault: boolean;
  /**
   * On success, positions of the vCPUs of each named VP that exists, ascending by VP index. More than one only where
   * the host gave a VP index twice; the VP is still one and receives once. After an error nobody receives.
   */
  readonly receivers: readonly (readonly number[])[];
}

/**
 * In what a step left what is permitted. `accepted`: success although the rule applies; `status`: an error, but none
 * that the rules which apply permit; `refused`: an error although none applies; `faulted`: #UD, which they do not permit;
 * `missing` and `extra`: a delivery.
 */
export interface Violation {
  readonly kind: 'accepted' | 'status' | 'refused' | 'faulted' | 'missing' | 'extra';
  /** The rule that was left; a delivery has one of the two names of `deliveryRules`. */
  readonly rule: string;
}

/** What TLFS says of deliveries, for citation. */
export const deliveryRules = {
  'named-vps-receive':
    'WEB HvCallSendSyntheticClusterIpi(Ex): a fixed interrupt to the VPs that are named; one with a disabled APIC is left open',
  'vp-index-unique': 'WEB HV_VP_INDEX: VP indices must be unique within a partition',
} as const;

/** One call of a program with both contracts' words on it: all that a deviation is recognised by. */
export interface JudgedCall {
  /** Position of the step. */
  readonly step: number;
  readonly call: Call;
  readonly permitted: Permitted;
  /** What KVM did. */
  readonly done: StepOutcome;
  /** The limits of the KVM that did it. */
  readonly contract: Contract;
  /** Empty where TLFS permits what KVM did. */
  readonly violations: readonly Violation[];
}

/**
 * Every call of a program that KVM answered as `outcome` says, with what TLFS permits and where the two part; none of a
 * concurrent program, in which nobody knows which VP indexes a call saw.
 */
export function judgeByTlfs(program: Program, outcome: Outcome, facts: TargetFacts): JudgedCall[] {
  if (program.machine.schedule !== null) return [];
  const memory = new ModelMemory();
  const contract = contractFor(facts);
  let page: bigint | null = null;
  return program.steps.flatMap((step, index): JudgedCall[] => {
    const done = outcome.steps[index]!;
    if (step.kind === 'write-msr') page = pageAfter(page, step, done);
    for (const write of done.writes) memory.writeAsKvm(write);
    if (step.kind !== 'call') return [];
    for (const write of step.writes) memory.write(write);
    const arrival = atInstruction(step, memory, contract);
    if (arrival === null || done.call === null) return [];
    // TLFS reads all banks that the variable header announces.
    const wholeInput = { ...contract, bankReadMax: Number.MAX_SAFE_INTEGER };
    const call = decodeCall(arrival.registers, memory, wholeInput, done.call.caller);
    const permitted = permittedFor(call, done.vpIndexes, page);
    // Where KVM does not do what its own source means to do, that is told as such, and no word on TLFS.
    const violations = faultsShownBy(done).length > 0 ? [] : violationsOf(permitted, done);
    return [{ step: index, call, permitted, done, contract, violations }];
  });
}

/** Where the hypercall page is after an MSR write; null while there is none. */
function pageAfter(page: bigint | null, { value }: ProgramOf<'write-msr'>, { rule }: StepOutcome): bigint | null {
  if (rule === 'page-written') return pageAddress(value);
  const isGone = rule === 'page-disabled' || (rule === 'guest-os-id-written' && value === 0n);
  return isGone ? null : page;
}

/** What TLFS permits for a call on a machine with those VP indexes and the hypercall page there. */
export function permittedFor(call: Call, vpIndexes: readonly number[], page: bigint | null = null): Permitted {
  const named = selectTargets(call, isAllVps(call) ? 'all' : 'named', vpIndexes);
  const receivers = groupByVp(named, vpIndexes);
  const namesAbsentVp = !isAllVps(call) && namedVpCount(call) > receivers.length;
  const applicable = tlfsRules.filter((rule) => rule.applies(call, { namesAbsentVp, page }));
  const alone = applicable.find((rule) => rule.alone);
  const rules = alone === undefined ? applicable : [alone];
  const isOpen = rules.some(({ statuses }) => statuses === null);
  const errors = isOpen ? null : [...new Set(rules.flatMap(({ statuses }) => statuses ?? []))].sort((a, b) => a - b);
  const success = rules.every(({ certainty }) => certainty !== 'certain');
  return { rules, success, errors, receivers, fault: rules.some((rule) => rule.fault) };
}

/** How many VPs a set names, there or not. */
function namedVpCount(call: Call): number {
  let count = 0;
  for (let slot = 0; slot < Math.min(call.bankCount, call.maskCount, bankCountMax); slot++) {
    count += popcount({ low: bankHalf(call, slot, 0), high: bankHalf(call, slot, 1) });
  }
  return count;
}

function groupByVp(positions: readonly number[], vpIndexes: readonly number[]): number[][] {
  const groups = new Map<number, number[]>();
  for (const position of positions) {
    const group = groups.get(vpIndexes[position]!);
    if (group === undefined) groups.set(vpIndexes[position]!, [position]);
    else group.push(position);
  }
  return [...groups].sort(([left], [right]) => left - right).map(([, group]) => group);
}

/** In what something that was done, predicted or seen, leaves what is permitted. */
export function violationsOf(permitted: Permitted, done: StepOutcome): Violation[] {
  const certain = permitted.rules.filter(({ certainty }) => certainty === 'certain').map(({ name }) => name);
  // What the VMM answers is not KVM's word.
  if (done.exit !== null) return [];
  // Behind a call that was answered it is the caller's own (#DB of TF).
  if (done.exception !== null && done.result === null) {
    return permitted.fault ? [] : [{ kind: 'faulted', rule: certain[0] ?? 'named-vps-receive' }];
  }
  const status = Number(done.result! & 0xffffn);
  if (status !== 0) {
    const isPermitted = permitted.errors === null || permitted.errors.includes(status);
    const extras = done.receivers.length > 0 ? [extra] : [];
    if (isPermitted) return extras;
    const [rule] = certain;
    return [rule === undefined ? { kind: 'refused', rule: 'named-vps-receive' } : { kind: 'status', rule }, ...extras];
  }
  if (!permitted.success) return certain.map((rule) => ({ kind: 'accepted', rule }));
  // A call that is no hypercall of TLFS reaches nobody in its sense.
  if (permitted.rules.some((rule) => rule.alone)) return [];
  return deliveryViolations(permitted, done);
}

const extra: Violation = { kind: 'extra', rule: 'named-vps-receive' };

function deliveryViolations(
  { receivers, rules }: Permitted,
  { receivers: delivered, apics }: StepOutcome,
): Violation[] {
  const violations: Violation[] = [];
  const named = new Set(receivers.flat());
  // A set that TLFS does not say how to read names nobody for certain.
  const isOpen = rules.some(({ statuses, certainty }) => statuses === null && certainty === 'guess');
  if (!isOpen && delivered.some((position) => !named.has(position))) violations.push(extra);
  for (const group of receivers) {
    const count = group.filter((position) => delivered.includes(position)).length;
    if (count > 1) violations.push({ kind: 'extra', rule: 'vp-index-unique' });
    const [only] = group;
    const mustReceive = group.length === 1 && acceptsInterrupts(apics[only!]!);
    if (!isOpen && mustReceive && count === 0) violations.push({ kind: 'missing', rule: 'named-vps-receive' });
  }
  return violations;
}
