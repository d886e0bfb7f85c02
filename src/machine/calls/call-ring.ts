/**
 * The ring of one vCPU in guest memory: calls go in with all their registers, and what they changed comes out. The
 * hand compares that with a call that returns status 0 and changes nothing, and reports only differences.
 */
import { registerPattern } from '../../guest/image.ts';
import * as map from '../../guest/memory-map.ts';
import { area, frameEntry, resultEntry, ringEntry, ringEntryBytes } from '../../guest/memory-map.ts';
import type { GuestCode } from '../../guest/program.ts';
import { memoryParts } from '../../hand/operations.ts';
import type { ExitRecord, WordDifference } from '../../hand/record.ts';
import type { Script } from '../../hand/script.ts';
import type { CallExit, RegisterChange } from '../../program/observation.ts';
import { type Environment, opens, plainEnvironment } from '../../case/steps/environment.ts';
import {
  callRegisterBytes,
  hypercallBytes,
  type ProgramCall,
  registerOffset,
  rflagsOf,
} from '../../program/program.ts';
import { addForPage } from './hypercall-page.ts';
import { type CallResult, exitOf } from '../stop.ts';
import type { Slots } from '../vm/slots.ts';
import type { Read } from '../writer.ts';

/** Value of `resultEntry.exception` after a call that returned. */
const returned = map.returnVector + 1;
/** Outputs of an entry, which end it. */
const outputBytes = ringEntryBytes - ringEntry.output;
const wordsMax = 0xffff;
/** The debug exception, of which single steps are one. */
const DB = 1;
const noChanges: readonly RegisterChange[] = [];
const { memory: inMemory, copy: inCopy } = memoryParts;

/** What an entry's outputs hold in the registers that calls do not use, when nothing changed them. */
const unusedOutputs = Buffer.alloc(outputBytes - callRegisterBytes);
{
  const base = ringEntry.registers;
  map.quietRegisters.forEach((_, index) => unusedOutputs.writeBigUInt64LE(registerPattern(index + 1), 8 * index));
  unusedOutputs.writeBigUInt64LE(rflagsOf(plainEnvironment), map.outputFlagsOffset);
  for (let xmm = map.quietXmm.first; xmm <= map.quietXmm.last; xmm++) {
    unusedOutputs.writeBigUInt64LE(registerPattern(2 * xmm + 0x10), xmmPlace(xmm) - base);
    unusedOutputs.writeBigUInt64LE(registerPattern(2 * xmm + 0x11), xmmPlace(xmm) + 8 - base);
  }
}

/** The 64-bit slots of an entry in which registers come out, in the order in which they are told; RAX has another place. */
const outputRegisters = [
  ...(['rcx', 'rdx', 'r8'] as const).map((register) => ({ register, at: ringEntry.output + registerOffset[register] })),
  ...map.quietRegisters.map((register, index) => ({ register, at: ringEntry.registers + 8 * index })),
  { register: 'rflags', at: ringEntry.registers + map.outputFlagsOffset },
  ...Array.from({ length: map.quietXmm.last + 1 }, (_, xmm) => [
    { register: `xmm${xmm}.lo`, at: xmmPlace(xmm) },
    { register: `xmm${xmm}.hi`, at: xmmPlace(xmm) + 8 },
  ]).flat(),
];
const registerAt = new Map(outputRegisters.map(({ register, at }, rank) => [at, { register, rank }]));

/** Where an XMM register comes out. */
function xmmPlace(xmm: number): number {
  const { first, lastInOutputXmm } = map.quietXmm;
  if (xmm < first) return ringEntry.output + registerOffset.xmm + 16 * xmm;
  if (xmm <= lastInOutputXmm) return ringEntry.xmm + 16 * (xmm - first);
  return ringEntry.registers + map.outputHighXmmOffset + 16 * (xmm - lastInOutputXmm - 1);
}

/** Where a call of the ring is made. */
interface Place {
  /** Address of the hypercall instruction; null where there is none, and the call is not made. */
  readonly instruction: number | null;
  /** What its return takes off the stack. */
  readonly popBytes: number;
  /** RSP before; null is the place in the entry. */
  readonly stack: number | null;
}

/** A call on its way through the ring. */
interface Pending {
  readonly registers: Buffer;
  readonly place: Read<Place>;
}

/** What a caller does before a call. */
export interface Pace {
  /** Waits until so many calls of the race have come to where they meet; 0 where it waits for none. */
  readonly meets: number;
  /** Goes so many rounds. */
  readonly spins: number;
}

const atOnce: Pace = { meets: 0, spins: 0 };

function isSamePace(left: Pace, right: Pace): boolean {
  return left.meets === right.meets && left.spins === right.spins;
}

export class CallRing {
  readonly #vm: number;
  readonly #base: number;
  readonly #code: GuestCode;
  readonly #slots: Slots;
  readonly #plain: Read<Place>;
  /** For each entry that was used, whether it has the frame of a plain call, and its pace. */
  readonly #entries: { isPlain: boolean; pace: Pace }[] = [];
  #pending: readonly Pending[] = [];
  /** What `put` recorded about hypercall pages. */
  #placeReads: Read<void>[] = [];

  /** @param base where the vCPU's area begins. */
  constructor(vm: number, base: number, code: GuestCode, slots: Slots) {
    this.#vm = vm;
    this.#base = base;
    this.#code = code;
    this.#slots = slots;
    const plain: Place = { instruction: code.hypercall, popBytes: 0, stack: null };
    this.#plain = () => plain;
  }

  /** The word that tells how far the ring has come. */
  get cursorAt(): number {
    return this.#base + area.cursor;
  }

  /** Puts calls in, at most `map.ringEntries` of which each fits, and the command behind which they are made. */
  put(
    script: Script,
    calls: readonly ProgramCall[],
    command: number,
    paces: readonly Pace[] | null = null,
  ): Read<void> {
    this.#placeReads = [];
    this.#pending = calls.map(({ environment, registers }, index) => {
      const at = this.#at(index);
      const bytes = registers.subarray(0, callRegisterBytes);
      const place = this.#frame(script, index, environment, registers, paces?.[index] ?? atOnce);
      const [offset, expectedAt] = [at + ringEntry.input, at + ringEntry.output];
      script.add('writeAndExpect', { vm: this.#vm, offset, expectedAt, bytes });
      return { registers, place };
    });
    const head = Buffer.alloc(24);
    head.writeUInt32LE(command, area.command);
    head.writeUInt32LE(this.#at(0), area.cursor);
    head.writeUInt32LE(this.#at(calls.length), area.end);
    this.#write(script, inMemory, this.#base, head);
    this.#write(script, inCopy, this.cursorAt, head.subarray(area.end, area.end + 8));
    script.add('put', { vm: this.#vm, offset: this.#base + area.resultCursor, value: this.#resultAt(0) });
    const reads = this.#placeReads;
    return (record) => {
      for (const read of reads) read(record);
    };
  }

  /** Compares what came of the calls that were put in last; fewer results than calls when the vCPU was stopped. */
  results(script: Script): (exit: ExitRecord | null) => Read<CallResult[]> {
    const pending = this.#pending;
    const count = pending.length;
    const diff = { vm: this.#vm, restore: 0, most: wordsMax };
    const outputs = { offset: this.#at(0) + ringEntry.output, length: outputBytes, stride: ringEntryBytes, count };
    script.add('diff', { ...diff, ...outputs });
    script.add('diff', { ...diff, offset: this.#resultAt(0), length: map.resultBytes * count, stride: 0, count: 1 });
    script.add('diff', { ...diff, offset: this.cursorAt, length: 8, stride: 0, count: 1 });
    return (exit) => (record) => {
      const [outputWords, resultWords, cursorWords] = [record.words(), record.words(), record.words()];
      const cursor = cursorWords[0]?.actual;
      const doneCount = cursor === undefined ? count : this.#indexOf(Number(cursor));
      const exits = exitsOf(exit, (word) => this.#indexOf(Number(word)));
      const outputsOf = byIndex(outputWords, this.#at(0), ringEntryBytes);
      const resultsOf = byIndex(resultWords, this.#resultAt(0), map.resultBytes);
      const done = Math.max(0, Math.min(count, doneCount));
      return pending.slice(0, done).map(({ registers, place }, index) =>
        this.#resultOf(index, registers, place(record), {
          outputs: outputsOf.get(index) ?? noWords,
          results: resultsOf.get(index) ?? noWords,
          exit: exits.get(index) ?? null,
        }),
      );
    };
  }

  #indexOf(cursor: number): number {
    return Math.floor((cursor - this.#at(0)) / ringEntryBytes);
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

  #write(script: Script, where: number, offset: number, bytes: Buffer): void {
    script.add('write', { vm: this.#vm, where, offset, bytes });
  }

  /** Puts an entry's frame in, if it has another one. */
  #frame(script: Script, index: number, environment: Environment, registers: Buffer, pace: Pace): Read<Place> {
    const known = this.#entries[index];
    if (known === undefined) this.#firstUse(script, index);
    const isPlain = environment === plainEnvironment;
    if (known?.isPlain === true && isPlain && isSamePace(known.pace, pace)) return this.#plain;
    this.#entries[index] = { isPlain, pace };
    return isPlain ? this.#putPlain(script, index, pace) : this.#putOther(script, index, environment, registers, pace);
  }

  /** What a call leaves in an entry and its result when it returns status 0. */
  #firstUse(script: Script, index: number): void {
    const slot = this.#slots.of(script, 'unused outputs', () => unusedOutputs);
    script.add('writeKept', { vm: this.#vm, where: inCopy, offset: this.#at(index) + ringEntry.registers, slot });
    const result = Buffer.alloc(map.resultBytes);
    result.writeUInt32LE(this.#frameAt(index) + frameEntry.stack, resultEntry.rsp);
    result.writeUInt32LE(returned, resultEntry.exception);
    result.writeUInt32LE(this.#code.behind + 2, resultEntry.exceptionRip);
    this.#write(script, inCopy, this.#resultAt(index), result);
  }

  #putPlain(script: Script, index: number, pace: Pace): Read<Place> {
    const { long, stack } = map.callerSelectors(0);
    const rflags = Number(rflagsOf(plainEnvironment));
    this.#putFrame(script, index, { rip: this.#code.hypercall, cs: long, ss: stack, rflags, pace }, unusedOutputs, 0);
    return this.#plain;
  }

  #putOther(script: Script, index: number, environment: Environment, registers: Buffer, pace: Pace): Read<Place> {
    const { mode, cpl, page } = environment;
    const { long, compat, stack } = map.callerSelectors(cpl);
    const cs = mode === 'compat' ? compat : long;
    // A call that is not made goes straight to where it would come back to.
    const rip = page === null ? this.#code.hypercall : this.#code.behind;
    const rsp = opens(environment) ? this.#base + area.callerStack : null;
    const frame = { rip, cs, ss: stack, rflags: Number(rflagsOf(environment)), pace };
    this.#putFrame(script, index, frame, registers, registerOffset.rbx, rsp);
    const bare: Place = { instruction: this.#code.hypercall, popBytes: 0, stack: rsp };
    if (page === null) return () => bare;
    const popBytes = mode === 'long' ? 8 : 4;
    let place: Place = { instruction: null, popBytes: 0, stack: rsp };
    const readPlace = addForPage(script, this.#vm, page, this.#code.instruction, (instruction) => {
      script.add('put', { vm: this.#vm, offset: this.#frameAt(index) + frameEntry.rip, value: page });
      return () => ({ instruction, popBytes, stack: rsp });
    });
    this.#placeReads.push((record) => {
      place = readPlace(record) ?? place;
    });
    return () => place;
  }

  /** What `iretq` pops; upper halves are 0 and stay so. Then RBX, RSI, RDI, the return address and the pace. */
  #putFrame(
    script: Script,
    index: number,
    frame: { rip: number; cs: number; ss: number; rflags: number; pace: Pace },
    registers: Buffer,
    registersStart: number,
    rsp: number | null = null,
  ): void {
    const at = this.#frameAt(index);
    const bytes = Buffer.alloc(frameEntry.meets + 8);
    bytes.writeUInt32LE(frame.rip, frameEntry.rip);
    bytes.writeUInt32LE(frame.cs, frameEntry.cs);
    bytes.writeUInt32LE(frame.rflags, frameEntry.rflags);
    bytes.writeUInt32LE(rsp ?? at + frameEntry.stack, frameEntry.rsp);
    if (rsp !== null) script.add('put', { vm: this.#vm, offset: rsp, value: this.#code.behind });
    bytes.writeUInt32LE(frame.ss, frameEntry.ss);
    bytes.writeUInt32LE(this.#code.behind, frameEntry.stack);
    bytes.writeUInt32LE(frame.pace.spins, frameEntry.spins);
    bytes.writeUInt32LE(frame.pace.meets, frameEntry.meets);
    registers.copy(bytes, frameEntry.rbx, registersStart, registersStart + 24);
    this.#write(script, inMemory, at, bytes);
    const outputs = this.#at(index) + ringEntry.registers;
    this.#write(script, inCopy, outputs, bytes.subarray(frameEntry.rbx, frameEntry.rbx + 24));
    const flags = Buffer.alloc(8);
    flags.writeUInt32LE(frame.rflags, 0);
    this.#write(script, inCopy, outputs + map.outputFlagsOffset, flags);
  }

  #resultOf(
    index: number,
    registers: Buffer,
    { instruction, popBytes, stack: rspBefore }: Place,
    seen: { outputs: readonly WordDifference[]; results: readonly WordDifference[]; exit: CallExit | null },
  ): CallResult {
    const { outputs, results } = seen;
    if (results.length === 0 && outputs.length === 0 && popBytes === 0 && instruction !== null) {
      return seen.exit === null ? successful : { ...successful, exit: seen.exit };
    }
    const word = (field: number, otherwise: number): bigint =>
      results.find(({ offset }) => (offset - this.#resultAt(0)) % map.resultBytes === field)?.actual ??
      BigInt(otherwise);
    const ended = Number(word(resultEntry.exception, returned));
    const hasReturned = ended === returned;
    const rax = word(resultEntry.rax, 0);
    const entryStack = this.#frameAt(index) + frameEntry.stack;
    const stack = rspBefore ?? entryStack;
    const changes = this.#changes(index, outputs);
    const givenRax = registers.readBigUInt64LE(registerOffset.rax);
    const pushedRip = BigInt.asIntN(32, word(resultEntry.exceptionRip, this.#code.behind + 2));
    const exception = { vector: ended - 1, ripOffset: Number(pushedRip) - (instruction ?? 0) };
    // A trap behind the call: it was answered.
    const hasTrapped = !hasReturned && exception.vector === DB && exception.ripOffset === hypercallBytes;
    if (!hasReturned && !hasTrapped && rax !== givenRax)
      changes.unshift({ register: 'rax', before: givenRax, after: rax });
    const wantedRsp = BigInt(stack + (hasReturned ? popBytes : 0));
    const rsp = word(resultEntry.rsp, entryStack);
    if (rsp !== wantedRsp) changes.push({ register: 'rsp', before: wantedRsp, after: rsp });
    if (instruction === null) return { result: null, exception: null, exit: 'no-code', registers: changes };
    if (hasReturned) return { result: rax, exception: null, exit: seen.exit, registers: changes };
    return { result: hasTrapped ? rax : null, exception, exit: seen.exit, registers: changes };
  }

  #changes(index: number, outputs: readonly WordDifference[]): RegisterChange[] {
    if (outputs.length === 0) return [];
    const found = outputs.flatMap(({ offset, expected, actual }) => {
      const place = registerAt.get(offset - this.#at(index));
      return place === undefined ? [] : [{ ...place, before: expected, after: actual }];
    });
    found.sort((left, right) => left.rank - right.rank);
    return found.map(({ register, before, after }) => ({ register, before, after }));
  }
}

const noWords: readonly WordDifference[] = [];
const successful: CallResult = { result: 0n, exception: null, exit: null, registers: noChanges };

function byIndex(words: readonly WordDifference[], start: number, stride: number): Map<number, WordDifference[]> {
  const groups = new Map<number, WordDifference[]>();
  for (const word of words) {
    const index = Math.floor((word.offset - start) / stride);
    const group = groups.get(index);
    if (group === undefined) groups.set(index, [word]);
    else group.push(word);
  }
  return groups;
}

/** Calls that left the guest, by their place in the ring. */
function exitsOf(exit: ExitRecord | null, indexOf: (word: bigint) => number): ReadonlyMap<number, CallExit> {
  const answers = exit?.answers ?? [];
  return new Map(answers.map(({ reason, word }) => [indexOf(word), exitOf(reason)]));
}
