/**
 * The ring of one vCPU in guest memory: calls go in with all their registers, and what they changed comes out. An entry is
 * compared as a whole before it is looked at register by register.
 */
import type { CallExit, RegisterChange } from '../program/observation.ts';
import {
  type CallEnvironment,
  callRegisterBytes,
  plainEnvironment,
  type ProgramCall,
  registerOffset,
} from '../program/program.ts';
import { hypercallInPage } from '../guest/entry-image.ts';
import { registerPattern } from '../guest/image.ts';
import * as map from '../guest/memory-map.ts';
import { area, frameEntry, resultEntry, ringEntry, ringEntryBytes } from '../guest/memory-map.ts';
import type { GuestCode } from '../guest/program.ts';
import type { CallResult } from './call-result.ts';
import { isSameLong, wordsOf } from './words.ts';

/** Value of `resultEntry.exception` after a call that returned. */
const returned = map.returnVector + 1;
/** Outputs of an entry, which end it. */
const outputBytes = ringEntryBytes - ringEntry.output;
const noChanges: readonly RegisterChange[] = [];
/** RBX, RSI and RDI, which follow each other wherever they are. */
const givenBytes = 24;

/** What the ring's entries hold in the registers that calls do not use, when nothing changed them. */
const quietEntry = Buffer.alloc(map.ringEntryBytes);
map.quietRegisters.forEach((_, index) =>
  quietEntry.writeBigUInt64LE(registerPattern(index + 1), ringEntry.registers + 8 * index),
);
quietEntry.writeBigUInt64LE(plainEnvironment.rflags, ringEntry.registers + map.outputFlagsOffset);
for (let xmm = map.quietXmm.first; xmm <= map.quietXmm.last; xmm++) {
  quietEntry.writeBigUInt64LE(registerPattern(2 * xmm + 0x10), xmmPlace(xmm));
  quietEntry.writeBigUInt64LE(registerPattern(2 * xmm + 0x11), xmmPlace(xmm) + 8);
}

/** The 64-bit slots of an entry in which registers come out, by name; RAX has another place. */
const outputSlots = [
  ...(['rcx', 'rdx', 'r8'] as const).map((register) => ({ register, at: ringEntry.output + registerOffset[register] })),
  ...map.quietRegisters.map((register, index) => ({ register, at: ringEntry.registers + 8 * index })),
  { register: 'rflags', at: ringEntry.registers + map.outputFlagsOffset },
  ...Array.from({ length: map.quietXmm.last + 1 }, (_, xmm) => [
    { register: `xmm${xmm}.lo`, at: xmmPlace(xmm) },
    { register: `xmm${xmm}.hi`, at: xmmPlace(xmm) + 8 },
  ]).flat(),
];

/** Where an XMM register comes out. */
function xmmPlace(xmm: number): number {
  const { first, lastInOutputXmm } = map.quietXmm;
  if (xmm < first) return ringEntry.output + registerOffset.xmm + 16 * xmm;
  if (xmm <= lastInOutputXmm) return ringEntry.xmm + 16 * (xmm - first);
  return ringEntry.registers + map.outputHighXmmOffset + 16 * (xmm - lastInOutputXmm - 1);
}

/** Whether the ring can make a call: in the modes to which `iretq` leads, with an instruction that KVM leaves alone. */
export function fitsRing({ mode, opcode }: CallEnvironment): boolean {
  return (mode === 'long' || mode === 'compat') && opcode === 'native';
}

/** Where a call of the ring is made. */
interface Place {
  /** Address of the hypercall instruction; null where there is none, and the call is not made. */
  readonly instruction: number | null;
  /** What its return takes off the stack. */
  readonly popBytes: number;
}

export class CallRing {
  readonly #memory: Buffer;
  readonly #words: Uint32Array;
  readonly #base: number;
  readonly #code: GuestCode;
  readonly #plain: Place;
  readonly #places: Place[];
  /** What the entries hold when calls changed nothing. */
  readonly #expected = Buffer.alloc(map.ringEntries * ringEntryBytes);
  readonly #expectedWords = wordsOf(this.#expected);
  readonly #exits = new Map<number, CallExit>();

  /** @param base where the vCPU's area begins. */
  constructor(memory: Buffer, base: number, code: GuestCode) {
    this.#memory = memory;
    this.#words = wordsOf(memory);
    this.#base = base;
    this.#code = code;
    this.#plain = { instruction: code.hypercall, popBytes: 0 };
    for (let index = 0; index < map.ringEntries; index++) quietEntry.copy(this.#expected, index * ringEntryBytes);
    this.#places = Array.from({ length: map.ringEntries }, (_, index) => this.#putPlainFrame(index));
  }

  /** Puts calls in, at most `map.ringEntries` of which each fits. */
  put(calls: readonly ProgramCall[]): void {
    this.#exits.clear();
    for (let index = 0; index < calls.length; index++) {
      const { environment, registers } = calls[index]!;
      registers.copy(this.#memory, this.#at(index) + ringEntry.input, 0, callRegisterBytes);
      registers.copy(this.#expected, index * ringEntryBytes + ringEntry.output, 0, callRegisterBytes);
      if (environment !== plainEnvironment) this.#places[index] = this.#putFrame(index, environment, registers);
      else if (this.#places[index] !== this.#plain) this.#places[index] = this.#putPlainFrame(index);
    }
    this.#put(this.#base + area.cursor, this.#at(0));
    this.#put(this.#base + area.end, this.#at(calls.length));
    this.#put(this.#base + area.resultCursor, this.#resultAt(0));
  }

  /** How many rounds the vCPU goes before each call; they stay until they are set anew. */
  putSpins(spins: readonly number[]): void {
    for (const [index, count] of spins.entries()) this.#put(this.#frameAt(index) + frameEntry.spins, count);
  }

  /** The call that is under way has left the guest; false where it had done so before. */
  noteExit(exit: CallExit): boolean {
    const index = this.#doneCount;
    if (this.#exits.has(index)) return false;
    this.#exits.set(index, exit);
    return true;
  }

  /** What came of the calls, of which there were `count`; fewer when the vCPU was stopped. */
  results(count: number): CallResult[] {
    const doneCount = Math.max(0, Math.min(count, this.#doneCount));
    return Array.from({ length: doneCount }, (_, index) => this.#resultOf(index));
  }

  get #doneCount(): number {
    return Math.floor((this.#words[(this.#base + area.cursor) >>> 2]! - this.#at(0)) / ringEntryBytes);
  }

  /** Address of an entry. */
  #at(index: number): number {
    return this.#base + area.ring + index * ringEntryBytes;
  }

  #frameAt(index: number): number {
    return this.#at(index) + ringEntry.frame;
  }

  #resultAt(index: number): number {
    return this.#base + area.results + index * map.resultBytes;
  }

  #put(address: number, value: number): void {
    this.#words[address >>> 2] = value;
  }

  /** The frame of a bare native instruction in 64-bit mode at CPL 0. */
  #putPlainFrame(index: number): Place {
    const { long, stack } = map.callerSelectors(0);
    this.#putReturnFrame(index, {
      rip: this.#code.hypercall,
      cs: long,
      ss: stack,
      rflags: Number(plainEnvironment.rflags),
    });
    this.#putGiven(index, quietEntry, ringEntry.registers);
    return this.#plain;
  }

  #putFrame(index: number, { mode, cpl, page, rflags }: CallEnvironment, registers: Buffer): Place {
    const { long, compat, stack } = map.callerSelectors(cpl);
    const cs = mode === 'compat' ? compat : long;
    const place = page === null ? this.#plainCopy() : this.#placeInPage(page, mode);
    // A call that is not made goes straight to where it would come back to.
    const rip = place.instruction === null ? this.#code.behind : page === null ? this.#code.hypercall : Number(page);
    this.#putReturnFrame(index, { rip, cs, ss: stack, rflags: Number(rflags) });
    this.#putGiven(index, registers, registerOffset.rbx);
    return place;
  }

  /** Not the same object as `#plain`, by which frames are told apart. */
  #plainCopy(): Place {
    return { ...this.#plain };
  }

  #placeInPage(page: bigint, mode: CallEnvironment['mode']): Place {
    const offset = hypercallInPage(this.#memory, map.hostOffset(page), this.#code.instruction);
    if (offset === null) return { instruction: null, popBytes: 0 };
    return { instruction: Number(page) + offset, popBytes: mode === 'long' ? 8 : 4 };
  }

  /** What `iretq` pops; upper halves are 0 and stay so. */
  #putReturnFrame(index: number, frame: { rip: number; cs: number; ss: number; rflags: number }): void {
    const at = this.#frameAt(index);
    this.#put(at + frameEntry.rip, frame.rip);
    this.#put(at + frameEntry.cs, frame.cs);
    this.#put(at + frameEntry.rflags, frame.rflags);
    this.#put(at + frameEntry.rsp, at + frameEntry.stack);
    this.#put(at + frameEntry.ss, frame.ss);
    this.#put(at + frameEntry.stack, this.#code.behind);
    const flagsAt = index * ringEntryBytes + ringEntry.registers + map.outputFlagsOffset;
    this.#expected.writeUInt32LE(frame.rflags, flagsAt);
  }

  #putGiven(index: number, registers: Buffer, start: number): void {
    registers.copy(this.#memory, this.#frameAt(index) + frameEntry.rbx, start, start + givenBytes);
    registers.copy(this.#expected, index * ringEntryBytes + ringEntry.registers, start, start + givenBytes);
  }

  #resultOf(index: number): CallResult {
    const words = this.#words;
    const result = this.#resultAt(index);
    const ended = words[(result + resultEntry.exception) >>> 2]!;
    const { instruction } = this.#places[index]!;
    const hasReturned = ended === returned;
    const registers = this.#changesOf(index, hasReturned);
    if (instruction === null) return { result: null, exception: null, exit: 'no-code', registers };
    const exit = this.#exits.get(index) ?? null;
    if (hasReturned) {
      const rax = this.#memory.readBigUInt64LE(result + resultEntry.rax);
      return { result: rax, exception: null, exit, registers };
    }
    const ripOffset = words[(result + resultEntry.exceptionRip) >>> 2]! - instruction;
    return { result: null, exception: { vector: ended - 1, ripOffset }, exit, registers };
  }

  /** RAX is the result register of a call that returns; of one that faults it is one that must not change. */
  #changesOf(index: number, hasReturned: boolean): readonly RegisterChange[] {
    const entry = this.#at(index);
    const result = this.#resultAt(index);
    const stack = this.#frameAt(index) + frameEntry.stack + (hasReturned ? this.#places[index]!.popBytes : 0);
    const rsp = (result + resultEntry.rsp) >>> 2;
    const isStackKept = this.#words[rsp] === stack && this.#words[rsp + 1] === 0;
    if (isStackKept && (hasReturned || this.#isRaxKept(index)) && this.#isOutputQuiet(index)) return noChanges;
    const changes: RegisterChange[] = [];
    const read = (address: number): bigint => this.#memory.readBigUInt64LE(address);
    if (!hasReturned && !this.#isRaxKept(index)) {
      const before = read(entry + ringEntry.input + registerOffset.rax);
      changes.push({ register: 'rax', before, after: read(result + resultEntry.rax) });
    }
    // A call in compatibility mode changes RDX, so this is no rare path: bigints are made of what changed alone.
    for (const { register, at } of outputSlots) {
      const expected = index * ringEntryBytes + at;
      if (isSameLong(this.#expectedWords, expected >>> 2, this.#words, (entry + at) >>> 2)) continue;
      changes.push({ register, before: this.#expected.readBigUInt64LE(expected), after: read(entry + at) });
    }
    if (!isStackKept) changes.push({ register: 'rsp', before: BigInt(stack), after: read(result + resultEntry.rsp) });
    return changes;
  }

  #isRaxKept(index: number): boolean {
    const before = (this.#at(index) + ringEntry.input + registerOffset.rax) >>> 2;
    const after = (this.#resultAt(index) + resultEntry.rax) >>> 2;
    return isSameLong(this.#words, before, this.#words, after);
  }

  #isOutputQuiet(index: number): boolean {
    const start = index * ringEntryBytes + ringEntry.output;
    const at = this.#at(index) + ringEntry.output;
    return this.#memory.compare(this.#expected, start, start + outputBytes, at, at + outputBytes) === 0;
  }
}
