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
} from '../src/abi/hypercall.ts';
import { describeBits } from '../src/abi/layout.ts';
import type { VcpuSetup } from '../src/case/case.ts';
import { type Program, type ProgramCall, registerOffset } from '../src/case/program.ts';
import type { TargetFacts } from '../src/executor/executor.ts';
import { isPending } from './attribution.ts';
import { type Contract, contractFor } from './contract.ts';
import { bankHalf, type Call, decodeCall } from './decode.ts';
import { acceptsInterrupts, untouchedLapic } from './machine.ts';
import { ModelMemory } from './memory.ts';
import { predict } from './model.ts';
import { formatHex, formatVectors } from './names.ts';
import type { Outcome } from './outcome.ts';
import { decide, kvmRules } from './rules.ts';
import { selectTargets } from './targets.ts';
import { type JudgedCall, judgeByTlfs } from './tlfs.ts';
import { formatDone, formatPermitted, formatVerdict } from './tlfs-text.ts';
import type { TlfsRule } from './tlfs-rules.ts';
import { hasBit, popcountBelow, toBigInt } from './words.ts';

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
  readonly result: bigint | null;
  readonly effects: readonly ExplainedEffect[];
  readonly tlfs: ExplainedTlfs;
}

export interface ExplainedRun {
  readonly kind: 'run';
  readonly effects: readonly ExplainedEffect[];
}

export interface Explanation {
  readonly kernelRelease: string;
  readonly contract: Contract;
  readonly vcpus: readonly { readonly vpIndex: number; readonly setup: VcpuSetup }[];
  readonly steps: readonly (ExplainedCall | ExplainedRun)[];
}

/** Explains a program for the KVM that the facts describe. Pure; runs nothing. */
export function explain(program: Program, facts: TargetFacts): Explanation {
  const contract = contractFor(facts);
  const outcome = predict(program, facts);
  const judged = new Map(judgeByTlfs(program, outcome, facts).map((call) => [call.step, call]));
  const memory = new ModelMemory();
  const steps = program.steps.map((step, index): ExplainedCall | ExplainedRun => {
    if (step.kind === 'run') return { kind: 'run', effects: effectsOfRun(program, outcome, index) };
    for (const write of step.writes) memory.write(write);
    const call = decodeCall(step.registers, memory, contract);
    return { ...explainCall(step, call, contract, program, outcome, index), tlfs: explainTlfs(judged.get(index)!) };
  });
  const vcpus = program.vcpus.map((setup, position) => ({ vpIndex: outcome.vpIndexes[position]!, setup }));
  return { kernelRelease: facts.kernelRelease, contract, vcpus, steps };
}

function explainCall(
  step: ProgramCall,
  call: Call,
  contract: Contract,
  program: Program,
  outcome: Outcome,
  index: number,
): Omit<ExplainedCall, 'tlfs'> {
  const control = step.registers.readBigUInt64LE(registerOffset.rcx);
  const rule = decide(kvmRules, call, contract);
  const banks = banksOf(call);
  const named = selectTargets(call, rule.reach, outcome.vpIndexes);
  const given = rule.reach === 'named' ? banks.flatMap(({ vpIndexes }) => vpIndexes ?? []) : [];
  return {
    kind: 'call',
    sender: step.sender,
    controlWord: control,
    control: describeBits(controlWord, control),
    inputPlace: placeOf(call),
    input: inputOf(call),
    banks,
    absentVpIndexes: given.filter((vpIndex) => !outcome.vpIndexes.includes(vpIndex)),
    rules: explainRules(rule.name),
    result: outcome.steps[index]!.result,
    effects: named.map((vcpu) => ({
      vcpu,
      vpIndex: outcome.vpIndexes[vcpu]!,
      text: deliveryText(program.vcpus[vcpu]!, call.vector, isPending(lapicBefore(outcome, index, vcpu), call.vector)),
    })),
  };
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
  return call.code === HVCALL_SEND_IPI_EX ? 'RDX, R8, XMM0..XMM5' : 'RDX, R8';
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

function deliveryText(setup: VcpuSetup, vector: number, wasPending: boolean): string {
  if (!acceptsInterrupts(setup)) return `APIC is ${setup.apic}: ${formatHex(vector, 2)} is lost, the status stays 0`;
  if (setup.idle === 'halted') return `wakes up, the handler of ${formatHex(vector, 2)} runs`;
  return `${formatHex(vector, 2)} ${wasPending ? 'is pending already, nothing changes' : 'becomes pending'}`;
}

function effectsOfRun(program: Program, outcome: Outcome, index: number): ExplainedEffect[] {
  return program.vcpus.flatMap((setup, vcpu) => {
    if (setup.idle !== 'parked') return [];
    const vectors = outcome.steps[index]!.arrivals[vcpu]!;
    const handlers = vectors.length === 0 ? 'takes nothing' : `the handlers of ${formatVectors(vectors)} run`;
    const text = acceptsInterrupts(setup) ? handlers : `APIC is ${setup.apic}: takes nothing`;
    return [{ vcpu, vpIndex: outcome.vpIndexes[vcpu]!, text }];
  });
}

function lapicBefore(outcome: Outcome, index: number, vcpu: number) {
  return outcome.steps[index - 1]?.lapics[vcpu] ?? untouchedLapic;
}
