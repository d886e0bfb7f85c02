/** A hypercall as statements of C: its input by the names of its parts, the call, and what must come of it. */
import {
  HV_GENERIC_SET_ALL,
  HV_GENERIC_SET_SPARSE_4K,
  HVCALL_SEND_IPI,
  HVCALL_SEND_IPI_EX,
  hvStatusName,
  vpsPerBank,
} from '../../abi/hypercall.ts';
import type { CallStep, Machine, SendIpiExStep } from '../../case/case.ts';
import { type Environment, plainEnvironment } from '../../case/steps/environment.ts';
import { type ProgramCall, registerOffset } from '../../program/program.ts';
import type { StepOutcome } from '../../../oracle/outcome.ts';
import { address } from './address.ts';
import { hex } from './text.ts';
import { defaultRax } from '../../case/steps/call.ts';

/**
 * @param plain the call as encoded for a 64-bit caller: where the parameters are in another mode is the program's matter.
 * @param call as it is made.
 */
export function callLines(
  step: CallStep,
  plain: ProgramCall,
  call: ProgramCall,
  outcome: StepOutcome,
  { irqchip }: Machine,
): string {
  if (outcome.exit === 'no-code') return '\t/* Not made: the page holds no hypercall instruction. */\n';
  const word = (offset: number): bigint => plain.registers.readBigUInt64LE(offset);
  const lines: string[] = [];
  for (const { gpa, bytes } of call.writes) {
    const words = wordsOf(bytes);
    lines.push(arrayLines('block', words, step, 0), `\n\tput_block(${address(gpa)}, block, ${bytes.length});\n`);
  }
  if (step.fast) {
    const halves = Array.from({ length: 12 }, (_, half) => word(registerOffset.xmm + 8 * half));
    lines.push(arrayLines('xmm', halves, step, 2), '\n');
  }
  const first = step.fast ? hex(word(registerOffset.rdx)) : address(word(registerOffset.rdx));
  const second = step.fast ? formatName(step, word(registerOffset.r8)) : hex(word(registerOffset.r8));
  const isEntered = call.environment !== plainEnvironment || step.rax !== defaultRax || irqchip !== 'kernel';
  const name = isEntered ? `enter(${step.sender}, ${entryText(call.environment, step)}` : `call(${step.sender}`;
  const margin = isEntered ? '\t      ' : '\t     ';
  lines.push(
    `\t${name}, ${controlText(step, word(registerOffset.rcx))},\n${margin}${first}, ${second}, ${step.fast ? 'xmm' : 'NULL'});\n`,
    outcome.exception === null
      ? `\texpect_result(${resultText(outcome.result!)});\n`
      : `\texpect_exception(${outcome.exception});\n`,
  );
  if (isEntered) lines.push(effectLines(call, outcome));
  return lines.join('');
}

const modeNames: Readonly<Partial<Record<Environment['mode'], string>>> = {
  long: 'LONG',
  compat: 'COMPAT',
  protected32: 'PROTECTED32',
  unpaged32: 'UNPAGED32',
  protected16: 'PROTECTED16',
  real: 'REAL',
};
const exitNames = { xen: 'KVM_EXIT_XEN', hyperv: 'KVM_EXIT_HYPERV' } as const;

function entryText({ mode, cpl, page, opcode }: Environment, { rax }: CallStep): string {
  const fields = [
    `.mode = ${modeNames[mode]!}`,
    ...(cpl === 0 ? [] : [`.cpl = ${cpl}`]),
    ...(page === null ? [] : [`.page = ${address(page)}`]),
    ...(opcode === 'native' ? [] : ['.other_opcode = 1']),
    ...(rax === defaultRax ? [] : [`.rax = ${hex(rax)}`]),
  ];
  return `(struct entry){ ${fields.join(', ')} }`;
}

/** What an entered call does besides its result. */
function effectLines({ environment }: ProgramCall, { exit, registers }: StepOutcome): string {
  const changed = registers.filter(({ register }) => register !== 'code');
  return [
    ...(exit === null || exit === 'no-code' ? [] : [`\texpect_exit(${exitNames[exit]});\n`]),
    ...changed.map(({ register, after }) => `\texpect_changed(${register}, ${hex(after)});\n`),
    '\texpect_nothing_else_changed();\n',
    ...(environment.opcode === 'other'
      ? [`\texpect_rewriting(${changed.length === registers.length ? 0 : 1});\n`]
      : []),
  ].join('');
}

const headNames = {
  'send-ipi': ['vector, target VTL, padding', 'processor mask'],
  'send-ipi-ex': ['vector, target VTL, padding', 'format', 'valid bank mask'],
};
/** Equal words at the end, from so many on, are written as a range. */
const rangeMin = 3;

/** @param first which word of the input the array starts with. */
function arrayLines(name: string, words: readonly bigint[], step: CallStep, first: number): string {
  const bankCount = step.do === 'send-ipi' ? 0 : bankCountOf(step);
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

function bankCountOf({ targets, emptyBanks }: SendIpiExStep): number {
  return new Set([...targets.map((vp) => Math.floor(vp / vpsPerBank)), ...emptyBanks]).size;
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

/** Whole words; a block that the end of RAM cuts off is filled up with zeros, which are not copied. */
function wordsOf(bytes: Buffer): bigint[] {
  const padded = Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);
  return Array.from({ length: padded.length / 8 }, (_, index) => padded.readBigUInt64LE(8 * index));
}
