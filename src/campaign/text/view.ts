/**
 * What was predicted and what was seen, as plain JSON in one shape, so that a finding can be read and compared without
 * this tool.
 */
import { hvStatusName } from '../../abi/hypercall.ts';
import { APIC_IRR, APIC_ISR, APIC_TMR, lapicRegisterName } from '../../abi/lapic.ts';
import { countFolded, foldRanges } from '../../case/ranges.ts';
import type {
  GuestException,
  LapicChanges,
  Leftover,
  MemoryChange,
  Observation,
  RegisterChange,
} from '../../program/observation.ts';
import { hypercallBytes } from '../../program/program.ts';
import { tmrAtSetup } from '../../../oracle/state/machine.ts';
import { type Outcome, ripOffsetOf } from '../../../oracle/outcome.ts';

export interface VcpuView {
  /** Vectors whose handlers ran during the step, in order: `0xfe 0x4f-0x40`, or `0xfe@0xf0` with PPR where it was logged. */
  readonly arrivals: string;
  /** What the LAPIC holds: `IRR 0xfe`; null where it was not looked at. */
  readonly lapic: string | null;
}

export interface StepView {
  /** The rule that decided; null in what was seen. */
  readonly rule: string | null;
  /** Result register; null for a `run` step and for a call that faults. */
  readonly result: string | null;
  readonly status: string | null;
  readonly exception: string | null;
  /** How the call left the guest for the VMM, or why it was not made. */
  readonly exit: string | null;
  /** Registers besides the result register that change or changed. */
  readonly registers: readonly string[];
  readonly vcpus: readonly VcpuView[];
  /** At a fence that found something left: of each vCPU its activity, LAPIC and registers. */
  readonly leftovers: readonly string[];
}

export interface RunView {
  readonly vpIndexes: readonly number[];
  readonly steps: readonly StepView[];
  /** LAPICs after the last step. */
  readonly lapics: readonly string[];
  /** Memory that KVM is to write, or that changed. */
  readonly memory: readonly string[];
  readonly stopped: string | null;
}

export function viewOutcome({ vpIndexes, steps, memory }: Outcome): RunView {
  return {
    vpIndexes,
    steps: steps.map(({ rule, result, exception, exit, registers, arrivals, priorities, lapics }) => ({
      rule,
      ...viewResult(result),
      exception:
        exception === null
          ? null
          : formatException({ vector: exception, ripOffset: ripOffsetOf({ result, exception }) }, result),
      exit,
      registers: registers.map(formatRegister),
      vcpus: arrivals.map((vectors, vcpu) => ({
        arrivals: formatHandlers(vectors, priorities[vcpu]!),
        lapic: formatLapic(lapics[vcpu]!),
      })),
      leftovers: [],
    })),
    lapics: (steps.at(-1)?.lapics ?? []).map(formatLapic),
    memory: memory.map(formatMemory),
    stopped: null,
  };
}

export function viewObservation({ vpIndexes, steps, lapics, memory, stopped }: Observation): RunView {
  return {
    vpIndexes,
    steps: steps.map((step) => ({
      rule: null,
      ...viewResult(step.result),
      exception: step.exception === null ? null : formatException(step.exception, step.result),
      exit: step.exit,
      registers: step.registers.map(formatRegister),
      vcpus: step.arrivals.map((vectors, vcpu) => {
        const lapic = step.lapics?.[vcpu];
        const handlers = formatHandlers(vectors, step.priorities[vcpu] ?? []);
        return { arrivals: handlers, lapic: lapic === undefined ? null : formatLapic(lapic) };
      }),
      leftovers: step.leftovers.flatMap(formatLeftover),
    })),
    lapics: lapics.map(formatLapic),
    memory: memory.map(formatMemory),
    stopped,
  };
}

/** Vectors in hexadecimal, `0x30 0x40-0x4f`; `-` when there is none. */
export function formatVectors(vectors: readonly number[]): string {
  return foldRanges(vectors, hex).join(' ') || '-';
}

/** How many handlers a view's arrivals are. */
export function countArrivals({ arrivals }: VcpuView): number {
  if (arrivals === '-') return 0;
  const handlers = arrivals.split(' ');
  return arrivals.includes('@') ? handlers.length : countFolded(handlers);
}

/** Vectors of handlers, each with the PPR that it began with if that is known. */
function formatHandlers(vectors: readonly number[], priorities: readonly number[]): string {
  if (priorities.length === 0) return formatVectors(vectors);
  return vectors.map((vector, place) => `${hex(vector)}@${hex(priorities[place] ?? 0)}`).join(' ');
}

/** `IRR 0x30 0xfe, TPR 0x10`, or `-` when the LAPIC is as it was set up. */
export function formatLapic(changes: LapicChanges): string {
  const vectors = new Map<string, number[]>();
  const others: string[] = [];
  // IRR says most and stands behind the others in the page.
  for (const [offset, value] of [...changes].sort(([left], [right]) => right - left)) {
    const register = bitmapAt(offset);
    if (register === null) {
      others.push(`${lapicRegisterName(offset)} ${hex(value)}`);
      continue;
    }
    const first = ((offset - register.base) / 0x10) * 32;
    const list = vectors.get(register.name) ?? [];
    const changed = register.name === tmrCleared ? value ^ tmrAtSetup : value;
    for (let bit = 0; bit < 32; bit++) if ((changed >>> bit) & 1) list.push(first + bit);
    vectors.set(register.name, list);
  }
  const bitmaps = [...vectors].map(
    ([name, list]) => `${name} ${formatVectors(list.sort((left, right) => left - right))}`,
  );
  return [...bitmaps, ...others].join(', ') || '-';
}

/** All TMR bits are set when a machine starts, so that one that a call clears is seen. */
const tmrCleared = 'TMR cleared';

function bitmapAt(offset: number): { name: string; base: number } | null {
  for (const [name, base] of Object.entries({ IRR: APIC_IRR, ISR: APIC_ISR, [tmrCleared]: APIC_TMR })) {
    if (offset >= base && offset < base + 0x80) return { name, base };
  }
  return null;
}

const waitNames = {
  asleep: 'sleeps in hlt',
  spinning: 'goes round with interrupts on',
  stuck: 'does not come to the fence',
} as const;

/** KVM_MP_STATE_*. */
const mpStateNames = ['runnable', 'uninitialized', 'init-received', 'halted', 'sipi-received'];
/** struct kvm_regs. */
const kvmRegs = 'rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags'.split(' ');

function formatLeftover({ vcpu, wait, states }: Leftover): string[] {
  return [
    `vCPU ${vcpu} ${waitNames[wait]}; every vCPU at that moment:`,
    ...states.map(({ mpState, registers, lapic }, position) => {
      const values = registers.map((value, index) => `${kvmRegs[index]} ${hex(value)}`).join(' ');
      return `vCPU ${position} ${mpStateNames[mpState] ?? mpState}; ${formatLapic(lapic)}; ${values}`;
    }),
  ];
}

function formatRegister({ register, before, after }: RegisterChange): string {
  return `${register} ${hex(before)} -> ${hex(after)}`;
}

function formatMemory({ gpa, before, after }: MemoryChange): string {
  return `${hex(gpa)}: ${before.toString('hex')} -> ${after.toString('hex')}`;
}

function viewResult(result: bigint | null): { result: string | null; status: string | null } {
  if (result === null) return { result: null, status: null };
  return { result: hex(result), status: hvStatusName(result) };
}

/** One beside a result is a trap behind the call. */
function formatException({ vector, ripOffset }: GuestException, result: bigint | null): string {
  if (result !== null && ripOffset === hypercallBytes) {
    return `${hex(result)} ${hvStatusName(result)}, then exception ${vector} behind the call`;
  }
  return ripOffset === 0
    ? `exception ${vector} at the call`
    : `exception ${vector} at the call ${ripOffset > 0 ? '+' : ''}${ripOffset}`;
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
