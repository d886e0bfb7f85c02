/**
 * What the model does with a program and why, as a plain value: every field, every rule in order, every vCPU. The text
 * form is in `explain-text.ts`.
 */
import {
  bankCountMax,
  controlWord,
  HVCALL_SEND_IPI,
  HVCALL_SEND_IPI_EX,
  sendIpiExInput,
  sendIpiInput,
  vpsPerBank,
} from '../../src/abi/hypercall.ts';
import { APIC_IRR, APIC_ISR } from '../../src/abi/lapic.ts';
import { describeBits } from '../../src/abi/layout.ts';
import type { VcpuSetup } from '../../src/case/case.ts';
import { describeEnvironment, plainEnvironment } from '../../src/case/steps/environment.ts';
import {
  type Program,
  type ProgramCall,
  type ProgramChange,
  type ProgramStep,
  registerOffset,
} from '../../src/program/program.ts';
import type { TargetFacts } from '../../src/executor/facts.ts';
import { isPending } from '../compare/attribution.ts';
import { isHyperv } from '../call/caller.ts';
import { faultsShownBy, type KvmFault } from '../kvm-faults.ts';
import { type Contract, contractFor } from '../contract.ts';
import { bankHalf, type Call } from '../call/decode.ts';
import { acceptsInterrupts, type Apic, vectorsOf } from '../state/machine.ts';
import { predict } from '../model.ts';
import { msrRules } from '../msr.ts';
import { formatException, formatHex, formatResult, formatVectors } from '../names.ts';
import type { Outcome, StepOutcome } from '../outcome.ts';
import { kvmRules } from '../call/rules.ts';
import { selectTargets } from '../call/targets.ts';
import { type JudgedCall, judgeByTlfs } from '../tlfs/tlfs.ts';
import { formatDone, formatPermitted, formatVerdict } from '../tlfs/tlfs-text.ts';
import type { TlfsRule } from '../tlfs/tlfs-rules.ts';
import { hasBit, popcountBelow, toBigInt } from '../words.ts';
import { kindOfChange } from '../../src/case/steps/kinds.ts';

/** One field of a layout; `range` is `high:low` in bits. */
export interface ExplainedField {
  readonly name: string;
  readonly range: string;
  readonly value: bigint;
  readonly meaning: string;
}

/** One valid bank; contents and VP indexes are null when KVM does not read it. */
interface ExplainedBank {
  readonly bank: number;
  readonly slot: number;
  readonly contents: bigint | null;
  readonly vpIndexes: readonly number[] | null;
}

export interface ExplainedRule {
  readonly name: string;
  readonly source: string;
  readonly role: 'passed' | 'decides' | 'not reached';
}

/** What one vCPU does in a step. */
export interface ExplainedEffect {
  readonly vcpu: number;
  readonly vpIndex: number;
  readonly text: string;
}

/** What TLFS says of the call, beside what KVM does. */
export interface ExplainedTlfs {
  /** Rules that apply; none where TLFS has no objection. */
  readonly rules: readonly Pick<TlfsRule, 'name' | 'source' | 'certainty'>[];
  readonly permitted: string;
  readonly kvm: string;
  /** `permitted`, or the names of the deviations. */
  readonly verdict: string;
}

export interface ExplainedCall {
  readonly kind: 'call';
  readonly sender: number;
  /** How the call is made; empty for a bare instruction in 64-bit mode at CPL 0. */
  readonly entry: string;
  readonly controlWord: bigint;
  readonly control: readonly ExplainedField[];
  /** Where the input is: registers, or an address. */
  readonly inputPlace: string;
  /** The fixed part of the input; null when it cannot be read or the call code is unknown. */
  readonly input: readonly ExplainedField[] | null;
  readonly banks: readonly ExplainedBank[];
  /** VP indexes that the set names and no vCPU has. */
  readonly absentVpIndexes: readonly number[];
  readonly rules: readonly ExplainedRule[];
  /** What the caller gets: a status, an exception, an exit. */
  readonly answer: string;
  /** Faults of KVM itself that the answer shows. */
  readonly faults: readonly KvmFault[];
  readonly effects: readonly ExplainedEffect[];
  readonly tlfs: ExplainedTlfs;
}

/** A step that is no call, or a call that is not made. */
export interface ExplainedChange {
  readonly kind: 'change';
  /** What is done, in words. */
  readonly what: string;
  /** The rule that decides an MSR write, with whether KVM takes the value; null where nothing is to be decided. */
  readonly rule: { readonly name: string; readonly source: string; readonly taken: boolean } | null;
  /** Faults of KVM itself that the step shows. */
  readonly faults: readonly KvmFault[];
  readonly effects: readonly ExplainedEffect[];
}

export interface Explanation {
  readonly kernelRelease: string;
  readonly contract: Contract;
  readonly vcpus: readonly { readonly vpIndex: number; readonly setup: VcpuSetup }[];
  readonly machine: Program['machine'];
  readonly steps: readonly (ExplainedCall | ExplainedChange)[];
}

/** Explains a program for the KVM that the facts describe. Pure; runs nothing. */
export function explain(program: Program, facts: TargetFacts): Explanation {
  const contract = contractFor(facts);
  const outcome = predict(program, facts);
  const judged = new Map(judgeByTlfs(program, outcome, facts).map((call) => [call.step, call]));
  const steps = program.steps.map((step, index): ExplainedCall | ExplainedChange => {
    const { call } = outcome.steps[index]!;
    if (step.kind !== 'call' || call === null) return explainChange(step, program, outcome, index);
    return { ...explainCall(step, call, program, outcome, index), tlfs: explainTlfs(judged.get(index)!) };
  });
  const vcpus = program.vcpus.map((setup, position) => ({ vpIndex: outcome.vpIndexes[position]!, setup }));
  return { kernelRelease: facts.kernelRelease, contract, machine: program.machine, vcpus, steps };
}

function explainCall(
  step: ProgramCall,
  call: Call,
  program: Program,
  outcome: Outcome,
  index: number,
): Omit<ExplainedCall, 'tlfs'> {
  const done = outcome.steps[index]!;
  const { vpIndexes } = done;
  const rule = kvmRules.find(({ name }) => name === done.rule)!;
  const control = controlOf(call, step);
  const banks = banksOf(call);
  const named = selectTargets(call, rule.reach, vpIndexes);
  const given = rule.reach === 'named' ? banks.flatMap((bank) => bank.vpIndexes ?? []) : [];
  return {
    kind: 'call',
    sender: step.sender,
    entry: step.environment === plainEnvironment ? '' : describeEnvironment(step.environment),
    controlWord: control,
    control: describeBits(controlWord, control),
    inputPlace: placeOf(call),
    input: inputOf(call),
    banks,
    absentVpIndexes: given.filter((vpIndex) => !vpIndexes.includes(vpIndex)),
    rules: explainRules(rule.name),
    answer: formatAnswer(done, call),
    faults: faultsShownBy(done),
    effects: named.map((vcpu) => ({
      vcpu,
      vpIndex: vpIndexes[vcpu]!,
      text: deliveryText(
        program.vcpus[vcpu]!,
        done.apics[vcpu]!,
        call.vector,
        isPending(lapicBefore(outcome, index, vcpu), call.vector),
      ),
    })),
  };
}

/** The input value as KVM reads it: RCX, or EDX:EAX. */
function controlOf({ caller, rax }: Call, { registers }: ProgramCall): bigint {
  if (caller.is64Bit) return registers.readBigUInt64LE(registerOffset.rcx);
  return toBigInt({ low: rax.low, high: registers.readUInt32LE(registerOffset.rdx) });
}

function formatAnswer(done: StepOutcome, call: Call): string {
  const { exception, result } = done;
  if (exception === null) return formatResponse(done, call);
  return result === null
    ? formatException(exception)
    : `${formatResponse(done, call)}, then ${formatException(exception)} right behind the call`;
}

function formatResponse({ result, exit }: StepOutcome, { caller }: Call): string {
  if (exit === null && !isHyperv(caller)) return `RAX ${formatHex(result!)}`;
  return exit === null ? formatResult(result) : `exit to the VMM (${exit}), which answers ${formatHex(result!)}`;
}

function explainChange(step: ProgramStep, program: Program, outcome: Outcome, index: number): ExplainedChange {
  const done = outcome.steps[index]!;
  const msrRule = msrRules.find(({ name }) => name === done.rule);
  return {
    kind: 'change',
    what: whatOf(step, done),
    rule: msrRule === undefined ? null : { name: msrRule.name, source: msrRule.source, taken: msrRule.taken },
    faults: faultsShownBy(done),
    effects: step.kind !== 'call' && kindOfChange(step).takesInterrupts ? takings(step, program, outcome, index) : [],
  };
}

function whatOf(step: ProgramStep, { result }: StepOutcome): string {
  if (step.kind === 'call') return `vCPU ${step.sender} makes no call: the page holds no hypercall instruction`;
  const kind = kindOfChange(step);
  return kind.result === 'value' ? `${kind.describe(step)}: ${formatHex(result!)}` : kind.describe(step);
}

function explainTlfs(judged: JudgedCall): ExplainedTlfs {
  return {
    rules: judged.permitted.rules.map(({ name, source, certainty }) => ({ name, source, certainty })),
    permitted: formatPermitted(judged.permitted),
    kvm: formatDone(judged.done),
    verdict: formatVerdict(judged),
  };
}

function explainRules(deciding: string): ExplainedRule[] {
  const at = kvmRules.findIndex(({ name }) => name === deciding);
  return kvmRules.map(({ name, source }, index) => ({
    name,
    source,
    role: index < at ? 'passed' : index === at ? 'decides' : 'not reached',
  }));
}

function placeOf(call: Call): string {
  if (!call.isFast) return `guest memory at ${formatHex(call.gpa)}`;
  const parameters = call.caller.is64Bit ? 'RDX, R8' : 'EBX:ECX, EDI:ESI';
  return call.code === HVCALL_SEND_IPI_EX ? `${parameters}, XMM0..XMM5` : parameters;
}

function inputOf(call: Call): ExplainedField[] | null {
  if (!call.headIsReadable) return null;
  const head = toBigInt({ low: call.vector, high: call.afterVector });
  if (call.code === HVCALL_SEND_IPI) {
    return describeBits(sendIpiInput, head | (bankContents(call, 0) << 64n));
  }
  if (call.code !== HVCALL_SEND_IPI_EX) return null;
  return describeBits(sendIpiExInput, head | (toBigInt(call.format) << 64n) | (toBigInt(call.mask) << 128n));
}

function banksOf(call: Call): ExplainedBank[] {
  const banks: ExplainedBank[] = [];
  for (let bank = 0; bank < bankCountMax; bank++) {
    if (!call.headIsReadable || !hasBit(call.mask, bank)) continue;
    const slot = popcountBelow(call.mask, bank);
    const contents = slot < call.bankCount ? bankContents(call, slot) : null;
    banks.push({ bank, slot, contents, vpIndexes: contents === null ? null : vpIndexesIn(bank, contents) });
  }
  return banks;
}

function bankContents(call: Call, slot: number): bigint {
  return toBigInt({ low: bankHalf(call, slot, 0), high: bankHalf(call, slot, 1) });
}

function vpIndexesIn(bank: number, contents: bigint): number[] {
  const bits = Array.from({ length: vpsPerBank }, (_, bit) => bit);
  return bits.filter((bit) => ((contents >> BigInt(bit)) & 1n) === 1n).map((bit) => bank * vpsPerBank + bit);
}

function deliveryText({ idle }: VcpuSetup, apic: Apic, vector: number, wasPending: boolean): string {
  if (!acceptsInterrupts(apic)) return `APIC is ${stateOf(apic)}: ${formatHex(vector, 2)} is lost, the status stays 0`;
  if (idle === 'halted') return `wakes up, the handler of ${formatHex(vector, 2)} runs`;
  return `${formatHex(vector, 2)} ${wasPending ? 'is pending already, nothing changes' : 'becomes pending'}`;
}

function stateOf({ isHardwareEnabled }: Apic): string {
  return isHardwareEnabled ? 'software-disabled' : 'hardware-disabled';
}

/** What the vCPU of a step takes, or each parked one in a step that is about all. */
function takings(step: ProgramChange, program: Program, outcome: Outcome, index: number): ExplainedEffect[] {
  const { arrivals, apics, lapics, vpIndexes } = outcome.steps[index]!;
  return program.vcpus.flatMap((setup, vcpu) => {
    if ('vcpu' in step ? step.vcpu !== vcpu : setup.idle !== 'parked') return [];
    const vectors = arrivals[vcpu]!;
    const left = [
      ['pending', vectorsOf(lapics[vcpu]!, APIC_IRR)],
      ['in service', vectorsOf(lapics[vcpu]!, APIC_ISR)],
    ] as const;
    const text = [
      vectors.length === 0 ? 'takes nothing' : `the handlers of ${formatVectors(vectors)} run`,
      ...left.flatMap(([what, list]) => (list.length === 0 ? [] : [`${formatVectors(list)} ${what} afterwards`])),
    ].join('; ');
    const apic = apics[vcpu]!;
    const isOn = apic.isHardwareEnabled;
    return [{ vcpu, vpIndex: vpIndexes[vcpu]!, text: isOn ? text : `APIC is ${stateOf(apic)}: takes nothing` }];
  });
}

function lapicBefore(outcome: Outcome, index: number, vcpu: number) {
  return (index === 0 ? outcome : outcome.steps[index - 1]!).lapics[vcpu]!;
}
