/** A case as the part of a C program that is its own: the machine's table, a function for each step, their calls. */
import {
  HV_GENERIC_SET_ALL,
  HV_GENERIC_SET_SPARSE_4K,
  HVCALL_SEND_IPI,
  HVCALL_SEND_IPI_EX,
  hvStatusName,
} from '../abi/hypercall.ts';
import { APIC_IRR, APIC_TMR } from '../abi/lapic.ts';
import type { CallStep, Case, Step } from '../case/case.ts';
import { encodeBanks } from '../case/encode.ts';
import { arenaStart, ramEnd } from '../case/memory.ts';
import type { LapicChanges } from '../case/observation.ts';
import { type ProgramCall, registerOffset } from '../case/program.ts';
import { tmrAtSetup, vectorsOf } from '../../oracle/machine.ts';
import type { StepOutcome } from '../../oracle/outcome.ts';
import { describeStep } from '../campaign/stages.ts';
import type { Prepared } from '../campaign/judgement.ts';
import { cComment, hex } from './c-text.ts';

export interface CParts {
  readonly machine: string;
  readonly steps: string;
  readonly calls: string;
}

export function cPartsOf({ value, program, outcome }: Prepared): CParts {
  const functions = value.steps.map((step, index) => {
    const programStep = program.steps[index]!;
    const body =
      programStep.kind === 'call'
        ? callLines(step as CallStep, programStep, outcome.steps[index]!)
        : runLines(value, outcome.steps[index]!);
    const text = [describeStep(step), ...expectationOf(value, outcome.steps[index]!, step)];
    return `${cComment(text)}static void step_${index + 1}(void)\n{\n${body}${lapicLines(value, outcome.steps[index]!)}}\n`;
  });
  const calls = value.steps.map((_, index) => `\tstep = ${index + 1};\n\tstep_${index + 1}();\n`);
  return { machine: machineText(value, outcome.vpIndexes), steps: functions.join('\n'), calls: calls.join('') };
}

const apicNames = {
  x2apic: 'X2APIC',
  xapic: 'XAPIC',
  'software-disabled': 'SOFTWARE_DISABLED',
  'hardware-disabled': 'HARDWARE_DISABLED',
} as const;
const eoiNames = { 'hv-msr': 'EOI_BY_HV_MSR', apic: 'EOI_BY_APIC' } as const;

function machineText({ machine: { vcpus } }: Case, vpIndexes: readonly number[]): string {
  const rows = vcpus.map(({ vpIndex, apic, eoi }, position) => {
    return `\t{ ${vpIndex}u, ${vpIndexes[position]}u, ${apicNames[apic]}, ${eoiNames[eoi]} },\n`;
  });
  return `#define NR_VCPUS ${vcpus.length}\n\nstatic const struct vcpu_setup setup[NR_VCPUS] = {\n${rows.join('')}};`;
}

function callLines(step: CallStep, { registers, writes, sender }: ProgramCall, outcome: StepOutcome): string {
  const word = (offset: number): bigint => registers.readBigUInt64LE(offset);
  const lines: string[] = [];
  for (const { gpa, bytes } of writes) {
    const words = wordsOf(bytes);
    lines.push(arrayLines('block', words, step, 0), `\n\tput_block(${address(gpa)}, block, ${bytes.length});\n`);
  }
  if (step.fast) {
    const halves = Array.from({ length: 12 }, (_, half) => word(registerOffset.xmm + 8 * half));
    lines.push(arrayLines('xmm', halves, step, 2), '\n');
  }
  const rdx = step.fast ? hex(word(registerOffset.rdx)) : address(word(registerOffset.rdx));
  const r8 = step.fast ? formatName(step, word(registerOffset.r8)) : hex(word(registerOffset.r8));
  lines.push(
    `\tcall(${sender}, ${controlText(step, word(registerOffset.rcx))},\n\t     ${rdx}, ${r8}, ${step.fast ? 'xmm' : 'NULL'});\n`,
  );
  lines.push(
    outcome.exception === null
      ? `\texpect_result(${resultText(outcome.result!)});\n`
      : `\texpect_exception(${outcome.exception});\n`,
  );
  return lines.join('');
}

function runLines({ machine: { vcpus } }: Case, { arrivals }: StepOutcome): string {
  return vcpus.map((_, vcpu) => `\texpect_handlers(${vcpu}, ${vectorsText(arrivals[vcpu]!)});\n`).join('');
}

function lapicLines({ machine: { vcpus } }: Case, { lapics }: StepOutcome): string {
  return vcpus
    .map((_, vcpu) => {
      const pending = vectorsText(vectorsOf(lapics[vcpu]!, APIC_IRR));
      return `\texpect_lapic(${vcpu}, ${pending}, ${vectorsText(acceptedOf(lapics[vcpu]!))});\n`;
    })
    .join('');
}

/** Vectors whose TMR bit was cleared. */
function acceptedOf(lapic: LapicChanges): number[] {
  const cleared = [...lapic]
    .filter(([offset]) => offset >= APIC_TMR && offset < APIC_TMR + 0x80)
    .map(([offset, value]) => [offset, (value ^ tmrAtSetup) >>> 0] as const);
  return vectorsOf(new Map(cleared), APIC_TMR);
}

function vectorsText(vectors: readonly number[]): string {
  return vectors.length === 0 ? 'NOTHING' : `VECTORS(${vectors.map((vector) => hex(vector)).join(', ')})`;
}

/** What must come of a step, in words. */
function expectationOf({ machine: { vcpus } }: Case, outcome: StepOutcome, step: Step): string[] {
  const lines: string[] = [];
  if (step.do !== 'run') {
    const what = outcome.exception === null ? hvStatusName(outcome.result!) : `exception ${outcome.exception}`;
    lines.push(`Expected: ${what} (rule "${outcome.rule}" of KVM)`);
  }
  for (const [vcpu, { vpIndex }] of vcpus.entries()) {
    const name = `vCPU ${vcpu} (VP index ${vpIndex})`;
    const pending = vectorsOf(outcome.lapics[vcpu]!, APIC_IRR);
    const ran = outcome.arrivals[vcpu]!;
    if (ran.length > 0) lines.push(`${name} handles ${ran.map((vector) => hex(vector)).join(', ')}`);
    if (outcome.receivers.includes(vcpu)) lines.push(`${name} receives it`);
    else if (pending.length > 0)
      lines.push(`${name} still has ${pending.map((vector) => hex(vector)).join(', ')} pending`);
  }
  if (step.do !== 'run' && outcome.receivers.length === 0) lines.push('Nobody receives anything.');
  return lines;
}

const headNames = {
  'send-ipi': ['vector, target VTL, padding', 'processor mask'],
  'send-ipi-ex': ['vector, target VTL, padding', 'format', 'valid bank mask'],
};
/** Equal words at the end, from so many on, are written as a range. */
const rangeMin = 3;

/** @param first which word of the input the array starts with. */
function arrayLines(name: string, words: readonly bigint[], step: CallStep, first: number): string {
  const bankCount = step.do === 'send-ipi' ? 0 : encodeBanks(step.targets, step.emptyBanks).banks.length;
  const inputCount = headNames[step.do].length + bankCount - first;
  const tail = words.slice(inputCount);
  const isRange = tail.length >= rangeMin && tail.every((word) => word === tail[0]);
  const rows = (isRange ? words.slice(0, inputCount) : words).map((value, index) => {
    const isFormat = step.do === 'send-ipi-ex' && index + first === 1;
    return `\t\t${isFormat ? formatName(step, value) : hex(value)},\t/* ${wordName(step, index + first, bankCount)} */\n`;
  });
  const range = isRange
    ? `\t\t[${inputCount} ... ${words.length - 1}] = ${hex(tail[0]!)},\t/* behind the input */\n`
    : '';
  return `\tstatic const uint64_t ${name}[] = {\n${rows.join('')}${range}\t};\n`;
}

function wordName(step: CallStep, place: number, bankCount: number): string {
  const names = headNames[step.do];
  const element = place - names.length;
  return names[place] ?? (element < bankCount ? `bank contents, element ${element}` : 'behind the input');
}

function formatName(step: CallStep, value: bigint): string {
  if (step.do !== 'send-ipi-ex') return hex(value);
  if (value === HV_GENERIC_SET_SPARSE_4K) return 'HV_GENERIC_SET_SPARSE_4K';
  return value === HV_GENERIC_SET_ALL ? 'HV_GENERIC_SET_ALL' : hex(value);
}

/** The control word by its parts; bits that belong to none of them stay a number. */
function controlText(step: CallStep, control: bigint): string {
  const code = step.do === 'send-ipi' ? HVCALL_SEND_IPI : HVCALL_SEND_IPI_EX;
  const header = (control >> 17n) & 0x3ffn;
  const parts = [
    [BigInt(code), step.do === 'send-ipi' ? 'HVCALL_SEND_IPI' : 'HVCALL_SEND_IPI_EX'],
    [step.fast ? 1n << 16n : 0n, 'HV_HYPERCALL_FAST_BIT'],
    [header << 17n, `${header}ull << HV_HYPERCALL_VARHEAD_OFFSET`],
    [BigInt(step.repCount) << 32n, `${step.repCount}ull << HV_HYPERCALL_REP_COMP_OFFSET`],
    [BigInt(step.repStart) << 48n, `${step.repStart}ull << HV_HYPERCALL_REP_START_OFFSET`],
  ] as const;
  const used = parts.filter(([bits], index) => index === 0 || (bits !== 0n && (control & bits) === bits));
  const rest = used.reduce((left, [bits]) => left & ~bits, control);
  return [...used.map(([, text]) => text), ...(rest === 0n ? [] : [hex(rest)])].join(' | ');
}

function resultText(result: bigint): string {
  const name = hvStatusName(result);
  return name.startsWith('0x') ? hex(result) : name;
}

/** An address by the place that it is in: the two programs have the arena at different ones. */
function address(gpa: bigint): string {
  const nearMax = 0x100_0000n;
  if (gpa >= arenaStart && gpa < ramEnd) return gpa === arenaStart ? 'ARENA' : `ARENA + ${hex(gpa - arenaStart)}`;
  return gpa >= ramEnd && gpa < nearMax ? `RAM_END + ${hex(gpa - ramEnd)}` : hex(gpa);
}

/** Whole words; a block that the end of RAM cuts off is filled up with zeros, which are not copied. */
function wordsOf(bytes: Buffer): bigint[] {
  const padded = Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
  return Array.from({ length: padded.length / 8 }, (_, index) => padded.readBigUInt64LE(8 * index));
}
