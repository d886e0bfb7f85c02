import { beforeEach, describe, expect, it } from 'vitest';
import { makeCase, makeStep, type CallStep } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { registerNames } from '../../../src/program/observation.ts';
import type { ProgramCall } from '../../../src/program/program.ts';
import { CallRing, fitsRing } from '../../../src/executor/call-ring.ts';
import { instructionBytes } from '../../../src/guest/entry-image.ts';
import { registerPattern } from '../../../src/guest/image.ts';
import * as map from '../../../src/guest/memory-map.ts';
import { area, frameEntry, resultEntry, ringEntry, ringEntryBytes } from '../../../src/guest/memory-map.ts';
import { assembleGuest } from '../../../src/guest/program.ts';

const code = assembleGuest('vmmcall');
const base = map.vcpuArea(1);
const page = 0xf0000n;
let memory: Buffer;
let ring: CallRing;

function calls(...fields: Partial<Extract<CallStep, { do: 'send-ipi' }>>[]): ProgramCall[] {
  const steps = fields.map((one) => makeStep({ do: 'send-ipi', fast: true, ...one }));
  return encodeCase(makeCase([{ vpIndex: 0 }], steps)).steps as ProgramCall[];
}

const plain = calls({}, {}, {});

const entryAt = (index: number): number => base + area.ring + ringEntryBytes * index;
const resultAt = (index: number): number => base + area.results + map.resultBytes * index;

/** Does what the guest's loop does with calls that change nothing. */
function makeCalls(count: number): void {
  for (let index = 0; index < count; index++) {
    const entry = entryAt(index);
    const frame = entry + ringEntry.frame;
    memory.copy(memory, entry + ringEntry.output, entry + ringEntry.input, entry + ringEntry.frame);
    const registers = entry + ringEntry.registers;
    map.quietRegisters.forEach((_, place) =>
      memory.writeBigUInt64LE(registerPattern(place + 1), registers + 8 * place),
    );
    memory.copy(memory, registers, frame + frameEntry.rbx, frame + frameEntry.stack);
    memory.copy(memory, registers + map.outputFlagsOffset, frame + frameEntry.rflags, frame + frameEntry.rsp);
    for (let xmm = 6; xmm <= 15; xmm++) {
      const place = xmm < 14 ? entry + ringEntry.xmm + 16 * (xmm - 6) : registers + 96 + 16 * (xmm - 14);
      memory.writeBigUInt64LE(registerPattern(2 * xmm + 0x10), place);
      memory.writeBigUInt64LE(registerPattern(2 * xmm + 0x11), place + 8);
    }
    memory.writeBigUInt64LE(7n, resultAt(index) + resultEntry.rax);
    memory.writeBigUInt64LE(BigInt(map.returnVector + 1), resultAt(index) + resultEntry.exception);
    memory.copy(memory, resultAt(index) + resultEntry.rsp, frame + frameEntry.rsp, frame + frameEntry.ss);
  }
  memory.writeBigUInt64LE(BigInt(entryAt(count)), base + area.cursor);
}

beforeEach(() => {
  memory = Buffer.alloc(0x100000);
  ring = new CallRing(memory, base, code);
});

describe('CallRing', () => {
  it('should see nothing when nothing changed', () => {
    ring.put(plain);
    makeCalls(3);

    const nothing = { result: 7n, exception: null, exit: null, registers: [] };
    expect(ring.results(3)).toEqual([nothing, nothing, nothing]);
  });

  it('should have results of the calls that were made', () => {
    ring.put(plain);
    makeCalls(2);

    expect(ring.results(3)).toHaveLength(2);
    ring.put(plain);
    expect(ring.results(3)).toHaveLength(0);
  });

  it.each([
    ['rcx', entryAt(1) + ringEntry.output, 0],
    ['rdx', entryAt(1) + ringEntry.output, 8],
    ['r8', entryAt(1) + ringEntry.output, 16],
    ['xmm0.lo', entryAt(1) + ringEntry.output, 32],
    ['xmm5.hi', entryAt(1) + ringEntry.output, 120],
    ['rbx', entryAt(1) + ringEntry.registers, 0],
    ['r15', entryAt(1) + ringEntry.registers, 80],
    ['rflags', entryAt(1) + ringEntry.registers, 88],
    ['xmm14.lo', entryAt(1) + ringEntry.registers, 96],
    ['xmm15.hi', entryAt(1) + ringEntry.registers, 120],
    ['xmm6.lo', entryAt(1) + ringEntry.xmm, 0],
    ['xmm13.hi', entryAt(1) + ringEntry.xmm, 120],
    ['rsp', resultAt(1), resultEntry.rsp],
  ])('should name %s when a bit of it changed in the second call', (register, at, offset) => {
    ring.put(plain);
    makeCalls(3);
    const place = at + offset;
    const before = memory.readBigUInt64LE(place);
    memory.writeBigUInt64LE(before ^ (1n << 63n), place);

    const results = ring.results(3);

    expect(registerNames).toContain(register);
    expect(results.map(({ registers }) => registers)).toEqual([
      [],
      [{ register, before, after: before ^ (1n << 63n) }],
      [],
    ]);
  });

  it('should know an exception by its vector, and RAX as a register that it must not change', () => {
    ring.put(plain);
    makeCalls(3);
    const results = resultAt(1);
    memory.writeBigUInt64LE(7n, results + resultEntry.exception);
    memory.writeBigUInt64LE(BigInt(code.hypercall), results + resultEntry.exceptionRip);
    const before = plain[1]!.registers.readBigUInt64LE(24);

    expect(ring.results(3)[1]).toEqual({
      result: null,
      exception: { vector: 6, ripOffset: 0 },
      exit: null,
      registers: [{ register: 'rax', before, after: 7n }],
    });
  });

  it.each([
    ['nothing', null, []],
    ['the upper half of RAX', resultEntry.rax + 4, ['rax']],
    ['RSP', resultEntry.rsp, ['rsp']],
  ])('should tell what a call changed that faulted: %s', (_, changed, names) => {
    ring.put(plain);
    makeCalls(3);
    const result = resultAt(1);
    memory.writeBigUInt64LE(7n, result + resultEntry.exception);
    plain[1]!.registers.copy(memory, result + resultEntry.rax, 24, 32);
    if (changed !== null) memory[result + changed]! ^= 1;

    expect(ring.results(3)[1]!.registers.map(({ register }) => register)).toEqual(names);
  });

  it('should note which call left the guest, once', () => {
    ring.put(plain);
    makeCalls(1);
    expect([ring.noteExit('xen'), ring.noteExit('xen')]).toEqual([true, false]);
    makeCalls(3);

    expect(ring.results(3).map(({ exit }) => exit)).toEqual([null, 'xen', null]);
    ring.put(plain);
    makeCalls(3);
    expect(ring.results(3)[1]!.exit).toBeNull();
  });

  it.each<[string, Partial<CallStep>, { cs: number; ss: number; rflags: bigint }]>([
    ['a plain call', {}, { cs: 0x40, ss: 0x50, rflags: 0x8d7n }],
    ['64-bit mode at CPL 3', { cpl: 3 }, { cs: 0xa3, ss: 0xb3, rflags: 0x38c7n }],
    ['compatibility mode at CPL 0', { mode: 'compat' }, { cs: 0x48, ss: 0x50, rflags: 0x38c7n }],
    ['compatibility mode at CPL 1', { mode: 'compat', cpl: 1 }, { cs: 0x69, ss: 0x71, rflags: 0x38c7n }],
  ])('should lead by its frame to %s', (_, fields, { cs, ss, rflags }) => {
    ring.put(calls({ cpl: 2, mode: 'compat' }));
    ring.put(calls(fields as Partial<Extract<CallStep, { do: 'send-ipi' }>>));
    const frame = entryAt(0) + ringEntry.frame;
    const words = Array.from({ length: 5 }, (__, index) => memory.readBigUInt64LE(frame + 8 * index));

    expect(words).toEqual([BigInt(code.hypercall), BigInt(cs), rflags, BigInt(frame + 64), BigInt(ss)]);
    makeCalls(1);
    expect(ring.results(1)[0]!.registers).toEqual([]);
  });

  it('should call through a page, whose return takes its address off the stack', () => {
    memory.set([...instructionBytes('vmmcall'), 0xc3], Number(page));
    for (const [mode, popBytes] of [
      ['long', 8],
      ['compat', 4],
    ] as const) {
      ring.put(calls({ page, mode }));
      makeCalls(1);
      const frame = entryAt(0) + ringEntry.frame;
      const rsp = resultAt(0) + resultEntry.rsp;
      memory.writeBigUInt64LE(memory.readBigUInt64LE(rsp) + BigInt(popBytes), rsp);

      expect(memory.readBigUInt64LE(frame)).toBe(page);
      expect(memory.readBigUInt64LE(frame + frameEntry.stack)).toBe(BigInt(code.behind));
      expect(ring.results(1)).toEqual([{ result: 7n, exception: null, exit: null, registers: [] }]);
    }
  });

  it('should not make a call through a page that holds no instruction', () => {
    ring.put(calls({ page }));
    makeCalls(1);

    expect(memory.readBigUInt64LE(entryAt(0) + ringEntry.frame)).toBe(BigInt(code.behind));
    expect(ring.results(1)).toEqual([{ result: null, exception: null, exit: 'no-code', registers: [] }]);
  });
});

describe('fitsRing', () => {
  it.each<[boolean, Partial<CallStep>]>([
    [true, {}],
    [true, { cpl: 3 }],
    [true, { mode: 'compat', page }],
    [false, { mode: 'protected32' }],
    [false, { mode: 'real' }],
    [false, { opcode: 'other' }],
  ])('should be %s for %o', (fits, fields) => {
    const [call] = calls(fields as Partial<Extract<CallStep, { do: 'send-ipi' }>>);
    expect(fitsRing(call!.environment)).toBe(fits);
  });
});
