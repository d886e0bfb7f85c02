/**
 * Guest physical memory below the arena, which the guest program owns. Every address stands here once; the module
 * refuses to load when two areas overlap. Virtual addresses equal physical ones, except for areas that do not fit
 * below the arena: their virtual address is their offset in the host's mapping, so that one number serves both.
 */
import { caseLimits } from '../case/limits.ts';
import { arenaStart, ramEnd, romEnd, romStart, upperEnd, upperStart } from '../case/memory.ts';
import { callRegisterBytes } from '../program/program.ts';

const page = 0x1000;
export const largePageBytes = 0x200000;

/**
 * Structures that all vCPUs share. Nobody writes them after the VM is made. Each VMRUN costs an emulated CPU its translations
 * of addresses, so what calls through the ring need lies in as few pages as may be: the GDT is in the page of the code.
 */
export const shared = {
  pml4: 0x1000,
  pdpt: 0x2000,
  /** Page directory of the first GiB. */
  lowDirectory: 0x3000,
  /** Page directory of the fourth GiB, for the APIC page. */
  apicDirectory: 0x4000,
  idt: 0x6000,
  code: 0x7000,
  gdt: 0x7f00,
  /** One stub per vector, `stubBytes` each. */
  stubs: 0x8000,
  /** Page directory of 32-bit paging. */
  directory32: 0x9000,
  /** Descriptor tables and TSSes for host-entered calls. */
  entryTables: 0xa000,
  /** Code of those calls, and a stub for each exception. */
  entryCode: 0xb000,
  end: 0xc000,
} as const;
export const stubBytes = 16;

/** Selectors of the GDT; a 64-bit TSS takes two places. */
export const selectors = { code: 0x08, data: 0x10, tss: 0x18, code32: 0x28 } as const;

/** Selectors of callers in the ring, which come to their CPL by `iretq`: 64-bit code, 32-bit code and a stack for each. */
export function callerSelectors(cpl: number): {
  readonly long: number;
  readonly compat: number;
  readonly stack: number;
} {
  const first = 0x40 + 0x20 * cpl + cpl;
  return { long: first, compat: first + 0x08, stack: first + 0x10 };
}

/** Stack of a host-entered call; one such call runs at a time. */
export const entryStack = { start: 0xc000, top: 0xd000 } as const;

/**
 * What racing vCPUs share, each word in a cache line of its own: how many have come to the start, how many senders are done, and
 * how many calls have come to a meeting.
 */
export const race = { start: 0xd000, arrived: 0xd000, done: 0xd040, met: 0xd080, end: 0xd0c0 } as const;

/** A region for each vCPU, `vcpuBytes` apart. GS base points to its start. */
const vcpuStart = 0x20000;
const vcpuBytes = 0x18000;
/** So many lie below the arena, the others in the upper memslot. */
const lowVcpus = 8;
/** Where the upper memslot lies in the host's mapping and in the guest's virtual memory: behind a 2 MiB page. */
const upperOffset = 0x200000;
export function vcpuArea(position: number): number {
  return position < lowVcpus ? vcpuStart + position * vcpuBytes : upperOffset + (position - lowVcpus) * vcpuBytes;
}

/** Entries of a ring; a batch of calls has at most so many. */
export const ringEntries = caseLimits.steps;

/**
 * An entry of the ring: the registers that a call gives and its frame go in; the same registers come out, then those that
 * no call uses: general ones, RFLAGS, XMM14 and XMM15; and XMM6..XMM13.
 */
export const ringEntry = {
  input: 0,
  frame: callRegisterBytes,
  output: 2 * callRegisterBytes,
  registers: 3 * callRegisterBytes,
  xmm: 4 * callRegisterBytes,
} as const;
export const ringEntryBytes = 5 * callRegisterBytes;
const ringBytes = ringEntries * ringEntryBytes;

/** Byte offsets within a vCPU's area: words of 8 bytes unless a size is given. */
export const area = {
  /** What to do next: one of `commands`. */
  command: 0x00,
  /** Address of the current entry of the ring, and of the entry at which to stop; and where what comes of it goes. */
  cursor: 0x08,
  end: 0x10,
  resultCursor: 0x60,
  /** MSR that handlers write for EOI, 0 for the xAPIC's register, or -1 for none. */
  eoiMsr: 0x18,
  /** Number of bytes in the log. */
  logLength: 0x20,
  /** Set by the NMI handler. */
  stop: 0x28,
  /** Set when the vCPU is about to halt. */
  halting: 0x30,
  /** Scratch of the guest program. */
  savedRax: 0x38,
  savedRsp: 0x40,
  savedFlags: 0x48,
  /** What the current call ended with: vector + 1 of the interrupt behind it or of its exception, and the RIP that it pushed. */
  exception: 0x50,
  exceptionRip: 0x58,
  /** Top of the stack on which interrupts nest: the frame of the innermost handler that the vCPU stays in. */
  stack: 0x1b0,
  /** Number of handlers that it stays in. */
  depth: 0x1b8,
  /** Set when the next handler is to be stayed in. */
  enter: 0x1c0,
  /** Register that a command writes or reads: MSR, 0 for CR8, or -1 for one in the APIC's page, whose address is `registerPage`. */
  registerAt: 0x1c8,
  registerPage: 0x1d0,
  registerValue: 0x1d8,
  /** Set when interrupts are on around that write. */
  opens: 0x1e0,
  /** MSR from which handlers read PPR, -1 for the xAPIC's register, or 0 when they do not read it. */
  pprMsr: 0x1e8,
  /** Before each call: the registers that no call uses, then XMM6..XMM15. */
  registersBefore: 0x90,
  xmmBefore: 0x100,
  /** Of a racing vCPU: how many start together, and how many of them send. */
  parties: 0x200,
  senders: 0x208,
  /** Of a spinning one: whether it raises its TPR all the time, and the class to which it lowers it again. */
  flickers: 0x210,
  tprClass: 0x218,
  tss: 0x240,
  /** An NMI has a stack of its own: it may come while an exception is looked at. */
  nmiStackTop: 0x380,
  exceptionStackTop: 0x400,
  /** What came of each call of the ring. */
  results: 0x800,
  /** Vectors in the order of their handlers, one byte each. */
  log: 0x1000,
  ring: 0x2000,
  /** The VP assist page. */
  assist: 0x2000 + ringBytes,
  /** PPR at the start of each handler of the log, one byte each. */
  priorities: 0x3000 + ringBytes,
  interruptStackTop: 0x7000 + ringBytes,
  /**
   * Stack of a caller with interrupts on, and of its handlers at other CPLs: the word there is where a call through the page
   * returns to, and handlers push below it. A handler that is held open has the other stack.
   */
  callerStack: 0x7400 + ringBytes,
} as const;
export const logBytesMax = 0xf00;

/**
 * The frame of a call: what `iretq` pops to come to the caller's mode, CPL and instruction; the other registers that a call
 * may give; and the word on the caller's stack, where a call through the page returns to.
 */
export const frameEntry = {
  rip: 0,
  cs: 8,
  rflags: 16,
  rsp: 24,
  ss: 32,
  rbx: 40,
  rsi: 48,
  rdi: 56,
  stack: 64,
  /** How often the guest goes round in a circle before the call. */
  spins: 72,
  /** Before that it waits until so many calls of the race have come here; 0 where it waits for none. */
  meets: 80,
} as const;
/** The interrupt behind a call, with which its caller comes back to the ring. Below 0x10, so that it is nobody's IPI. */
export const returnVector = 15;

/** `ringEntry.registers`: these registers, RFLAGS, XMM14 and XMM15. */
export const quietRegisters = ['rbx', 'rsi', 'rdi', 'rbp', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const;
/** Those of them that some calls give; they come first. */
export const givenRegisters = ['rbx', 'rsi', 'rdi'] as const;
export const outputFlagsOffset = 8 * quietRegisters.length;
export const outputHighXmmOffset = outputFlagsOffset + 8;
/** `ringEntry.xmm`: XMM6..XMM13. */
export const quietXmm = { first: 6, last: 15, lastInOutputXmm: 13 } as const;
/** Entry of `results`. */
export const resultEntry = { rax: 0, rsp: 8, exception: 16, exceptionRip: 24 } as const;
export const resultBytes = 32;

/** Values of `command`. */
export const commands = {
  calls: 1,
  window: 2,
  halt: 3,
  write: 4,
  leave: 5,
  open: 6,
  haltOnce: 7,
  race: 8,
  spin: 9,
  readMsr: 10,
} as const;
/** Ports of the guest program's exits: it waits for a command; its log is full; a call returned; it raised an exception. */
export const ports = { idle: 0x10, logFull: 0x11, returned: 0x12, exception: 0x13 } as const;

/** A memslot and where it lies in the host's mapping. */
export interface Memslot {
  readonly gpa: bigint;
  readonly bytes: number;
  readonly readOnly: boolean;
  readonly offset: number;
}

/** Memslots of a VM with so many vCPUs. */
export function memslotsOf(vcpuCount: number): readonly Memslot[] {
  const upper = upperSlotOf(vcpuCount);
  return [
    { gpa: 0n, bytes: Number(ramEnd), readOnly: false, offset: 0 },
    { gpa: romStart, bytes: Number(romEnd - romStart), readOnly: true, offset: Number(ramEnd) },
    ...(upper === null ? [] : [{ ...upper, readOnly: false }]),
  ];
}

/** Bytes of the host's mapping for a VM with so many vCPUs. */
export function memoryBytesOf(vcpuCount: number): number {
  const last = memslotsOf(vcpuCount).at(-1)!;
  return last.offset + last.bytes;
}

/** The memslot of the vCPUs' areas that do not fit below the arena, in whole 2 MiB pages; null when all do. */
export function upperSlotOf(vcpuCount: number): { gpa: bigint; bytes: number; offset: number } | null {
  if (vcpuCount <= lowVcpus) return null;
  const bytes = Math.ceil(((vcpuCount - lowVcpus) * vcpuBytes) / largePageBytes) * largePageBytes;
  return { gpa: upperStart, bytes, offset: upperOffset };
}

/** Where an address of RAM or of the read-only memslot lies in the host's mapping. */
export function hostOffset(gpa: bigint): number {
  return Number(gpa < ramEnd ? gpa : gpa - romStart + ramEnd);
}

/** The address of a place in the host's mapping. */
export function gpaOf(offset: number): bigint {
  if (offset < Number(ramEnd)) return BigInt(offset);
  return offset < upperOffset ? BigInt(offset) - ramEnd + romStart : BigInt(offset - upperOffset) + upperStart;
}

/** Ranges of the mapping that must stay as they are while programs run; everything else below the arena is scratch. */
export const quietRanges = [
  { start: 0, end: shared.end },
  { start: Number(arenaStart), end: hostOffset(romEnd - 1n) + 1 },
] as const;

/** Places behind this are nobody's to watch. */
export const watchedBytes = hostOffset(romEnd - 1n) + 1;

const tssBytes = 104;
/** SS, RSP, RFLAGS, CS, RIP, error code, vector. */
const frameBytesMax = 7 * 8;

function refuseOverlap(name: string, ranges: readonly { start: number; end: number }[]): void {
  ranges.forEach((range, index) => {
    const next = ranges[index + 1];
    if (range.end < range.start || (next !== undefined && next.start < range.end)) {
      throw new Error(`${name}: ranges overlap at 0x${range.end.toString(16)}`);
    }
  });
}
refuseOverlap('guest memory', [
  ...[shared.pml4, shared.pdpt, shared.lowDirectory, shared.apicDirectory, shared.idt].map((start) => ({
    start,
    end: start + page,
  })),
  { start: shared.code, end: shared.gdt },
  { start: shared.gdt, end: shared.code + page },
  { start: shared.stubs, end: shared.stubs + 256 * stubBytes },
  ...[shared.directory32, shared.entryTables, shared.entryCode].map((start) => ({ start, end: start + page })),
  { start: entryStack.start, end: entryStack.top },
  { start: race.start, end: race.end },
  ...Array.from({ length: lowVcpus }, (_, i) => ({ start: vcpuArea(i), end: vcpuArea(i) + vcpuBytes })),
  { start: Number(arenaStart), end: Number(ramEnd) },
  { start: Number(ramEnd), end: watchedBytes },
  { start: upperOffset, end: upperOffset + Number(upperEnd - upperStart) },
]);
refuseOverlap('upper memory', [
  { start: 0, end: upperSlotOf(caseLimits.vcpus)!.bytes },
  { start: Number(upperEnd - upperStart), end: Number(upperEnd - upperStart) },
]);
refuseOverlap('vCPU area', [
  { start: 0, end: area.xmmBefore + 16 * 10 },
  { start: area.stack, end: area.pprMsr + 8 },
  { start: area.parties, end: area.tprClass + 8 },
  { start: area.tss, end: area.tss + tssBytes },
  { start: area.nmiStackTop - frameBytesMax, end: area.nmiStackTop },
  { start: area.exceptionStackTop - frameBytesMax, end: area.exceptionStackTop },
  { start: area.results, end: area.results + ringEntries * resultBytes },
  { start: area.log, end: area.log + page },
  { start: area.ring, end: area.assist },
  { start: area.assist, end: area.interruptStackTop },
  { start: area.interruptStackTop, end: area.callerStack + 8 },
  { start: vcpuBytes, end: vcpuBytes },
]);
