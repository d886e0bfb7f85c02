/**
 * How a call is made: processor mode, privilege level, page, instruction, RFLAGS. What there is to say of such a part is said
 * here: its values, what goes together, how it reads, what is plainer, and what model coverage tells apart.
 */
import { z } from 'zod';
import { u64 } from '../fields.ts';
import type { CaseIssue } from '../issue.ts';
import { arenaStart, ramEnd } from '../memory.ts';
import type { StepContext } from './step-kind.ts';

/** Processor modes of a caller; `long` is the only one whose parameters are 64-bit registers (is_64_bit_hypercall). */
export const callModes = ['long', 'compat', 'protected32', 'unpaged32', 'protected16', 'real'] as const;
/**
 * RFLAGS of a caller besides the arithmetic flags: nothing; IF, so that it takes interrupts before and behind the call; TF, so
 * that it is stopped behind the call by #DB; both.
 */
const callerFlags = ['plain', 'if', 'tf', 'if-tf'] as const;

export const environmentFields = {
  mode: z.enum(callModes).default('long'),
  /** Current privilege level of the caller. */
  cpl: z.number().int().min(0).max(3).default(0),
  /** Address of the hypercall page through which the call goes; null is a bare instruction. */
  page: u64.nullable().default(null),
  /** The hypercall instruction of the CPU's vendor, or the one of the other. */
  opcode: z.enum(['native', 'other']).default('native'),
  rflags: z.enum(callerFlags).default('plain'),
};

const schema = z.strictObject(environmentFields);
export type Environment = Readonly<z.output<typeof schema>>;

/**
 * A bare native instruction in 64-bit mode at CPL 0. All calls of programs that are made so, and whose answer does not leave
 * the guest, share this one object: what asks for it compares identity.
 */
export const plainEnvironment: Environment = Object.freeze(schema.parse({}));

// By their names, here and below: every call of every program is asked.
export function isPlainEnvironment({ mode, cpl, page, opcode, rflags }: Environment): boolean {
  return mode === 'long' && cpl === 0 && page === null && opcode === 'native' && rflags === 'plain';
}

/** The environment of a call, without the rest of it. */
export function environmentOf({ mode, cpl, page, opcode, rflags }: Environment): Environment {
  return { mode, cpl, page, opcode, rflags };
}

/** Whether a mode is one with CR0.PE clear. */
export function isRealMode(mode: Environment['mode']): boolean {
  return mode === 'real';
}

/** Whether a call can go through a page at that address: the guest program reaches only what lies in RAM. */
export function isAllowedPage(page: bigint): boolean {
  return page >= arenaStart && page < ramEnd && (page & 0xfffn) === 0n;
}

/** Whether a mode can call through the page: in 16-bit segments the return address would not fit. */
export function modeHasPage(mode: Environment['mode']): boolean {
  return !isRealMode(mode) && mode !== 'protected16';
}

/** Whether a caller has interrupts on, so that it takes what is pending in front of the call and behind it. */
export function opens({ rflags }: Pick<Environment, 'rflags'>): boolean {
  return rflags === 'if' || rflags === 'if-tf';
}

/** Whether a caller traps behind each instruction. */
export function traps({ rflags }: Pick<Environment, 'rflags'>): boolean {
  return rflags === 'tf' || rflags === 'if-tf';
}

/** The flags of such a caller. */
export function flagsNamed(isOpen: boolean, isTrapped: boolean): Environment['rflags'] {
  if (isOpen) return isTrapped ? 'if-tf' : 'if';
  return isTrapped ? 'tf' : 'plain';
}

/** Whether a call is made by `iretq`, which brings RFLAGS along. */
export function hasFlags({ mode, opcode }: Pick<Environment, 'mode' | 'opcode'>): boolean {
  return (mode === 'long' || mode === 'compat') && opcode === 'native';
}

export function* checkEnvironment(environment: Environment, { machine, at }: StepContext): Generator<CaseIssue> {
  const { mode, cpl, page, opcode, rflags } = environment;
  if (rflags !== 'plain' && !hasFlags(environment)) {
    yield at('rflags', 'needs long or compat mode and the native instruction');
  }
  // Behind the `or` of a page of KVM's with Xen, the trap comes before the call is made.
  if (traps(environment) && page !== null) yield at('rflags', 'only bare calls trap');
  if (opens(environment) && machine.irqchip === 'none') {
    yield at('rflags', 'without a LAPIC in the kernel nothing is taken');
  }
  if (opens(environment) && machine.vcpus.some(({ idle }) => idle === 'halted')) {
    yield at('rflags', 'a caller that takes interrupts and halted vCPUs do not go together');
  }
  if (page !== null && !isAllowedPage(page)) {
    yield at('page', `not a page of the arena: 0x${arenaStart.toString(16)} to 0x${(ramEnd - 1n).toString(16)}`);
  }
  if (page !== null && !modeHasPage(mode)) yield at('page', `${mode} mode cannot return from a page`);
  if (page !== null && opcode === 'other') yield at('opcode', 'the page holds the native instruction');
  if (isRealMode(mode) && cpl !== 0) yield at('cpl', 'real mode has no privilege levels');
}

/** `long mode, CPL 3, a bare instruction, TF set`. */
export function describeEnvironment(environment: Environment): string {
  const { mode, cpl, page, opcode } = environment;
  const flags = [...(opens(environment) ? ['IF'] : []), ...(traps(environment) ? ['TF'] : [])];
  const way = page === null ? 'a bare instruction' : `the hypercall page at 0x${page.toString(16)}`;
  const vendor = opcode === 'other' ? " of the other vendor's" : '';
  return `${mode} mode, CPL ${cpl}, ${way}${vendor}${flags.length === 0 ? '' : `, ${flags.join(' and ')} set`}`;
}

/** What tells environments apart that have as many fields that are not at their default; page and instruction apart. */
export function environmentWeight({ mode, cpl, rflags }: Environment): number {
  return callModes.indexOf(mode) + cpl + callerFlags.indexOf(rflags);
}

/** What is plainer; each part at its default, and a lower CPL, is tried as of any field. */
export function* plainerEnvironments({ mode, rflags }: Environment): Generator<Partial<Environment>> {
  for (const other of callModes.slice(0, callModes.indexOf(mode))) yield { mode: other };
  for (const other of callerFlags.slice(1, Math.max(1, callerFlags.indexOf(rflags)))) yield { rflags: other };
  // Real mode and a CPL are the two environments that calls are refused in.
  if (isRealMode(mode)) yield { mode: 'long', cpl: 1 };
}

/** Dimensions of model coverage. */
export const environmentDimensions: readonly {
  readonly name: string;
  readonly values: readonly string[];
  readonly of: (environment: Environment) => string;
}[] = [
  { name: 'mode', values: callModes, of: ({ mode }) => mode },
  { name: 'cpl', values: ['0', '1', '2', '3'], of: ({ cpl }) => String(cpl) },
  {
    name: 'way',
    values: ['bare', 'page', 'other-opcode'],
    of: ({ page, opcode }) => (opcode === 'other' ? 'other-opcode' : page === null ? 'bare' : 'page'),
  },
  { name: 'rflags', values: callerFlags, of: ({ rflags }) => rflags },
];
