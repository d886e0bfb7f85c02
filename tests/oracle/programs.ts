/** Programs for the oracle's tests: by literal registers, and drawn at random without the project's generators. */
import fc from 'fast-check';
import { makeCase, makeStep, type Step } from '../../src/case/case.ts';
import { encodeCase } from '../../src/case/encode.ts';
import { arenaStart, ramEnd } from '../../src/case/memory.ts';
import { callRegisterBytes, type Program, type ProgramCall, registerOffset } from '../../src/case/program.ts';
import type { TargetFacts } from '../../src/executor/executor.ts';

export const facts: TargetFacts = {
  target: 'lab',
  kernelRelease: '6.12.0-test',
  cpu: 'AuthenticAMD',
  kvmMaxVcpus: 4096,
  irqchips: ['kernel'],
};

/** Registers of a call; `xmm` are halves from XMM0.lo on. */
export interface CallRegisters {
  readonly rcx: bigint;
  readonly rdx?: bigint;
  readonly r8?: bigint;
  readonly xmm?: readonly bigint[];
}

export function registersOf({ rcx, rdx = 0n, r8 = 0n, xmm = [] }: CallRegisters): Buffer {
  const registers = Buffer.alloc(callRegisterBytes);
  registers.writeBigUInt64LE(rcx, registerOffset.rcx);
  registers.writeBigUInt64LE(rdx, registerOffset.rdx);
  registers.writeBigUInt64LE(r8, registerOffset.r8);
  xmm.forEach((half, index) => registers.writeBigUInt64LE(half, registerOffset.xmm + 8 * index));
  return registers;
}

/** 64-bit words as bytes. */
export function bytesOf(words: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(8 * words.length);
  words.forEach((word, index) => bytes.writeBigUInt64LE(word, 8 * index));
  return bytes;
}

/** A call by vCPU 0 with literal registers and the words of its input block at RDX. */
export function literalCall(registers: CallRegisters, memory: readonly bigint[] = []): ProgramCall {
  const writes = memory.length === 0 ? [] : [{ gpa: registers.rdx ?? 0n, bytes: bytesOf(memory) }];
  return { kind: 'call', sender: 0, registers: registersOf(registers), writes };
}

/** A program on vCPUs that all have default set-ups. */
export function programOf(vpIndexes: readonly number[], steps: Program['steps']): Program {
  const { vcpus } = makeCase(
    vpIndexes.map((vpIndex) => ({ vpIndex })),
    [],
  ).machine;
  return { vcpus, steps };
}

const vpIndex = fc.constantFrom(0, 1, 2, 63, 64, 65, 130, 2048, 4095, 4096, 2 ** 32 - 1);
const vcpu = fc.record({
  vpIndex,
  apic: fc.constantFrom('x2apic' as const, 'x2apic' as const, 'xapic' as const, 'software-disabled' as const),
  idle: fc.constantFrom('parked' as const, 'parked' as const, 'halted' as const),
});
const target = fc.constantFrom(0, 1, 2, 63);
const targetEx = fc.constantFrom(0, 1, 2, 63, 64, 65, 130, 2048, 4095);
const vector = fc.constantFrom(0x0f, 0x10, 0x20, 0xfe, 0xff, 0x100);
const seldom = <T>(value: T, often: T) => fc.oneof({ weight: 9, arbitrary: fc.constant(often) }, fc.constant(value));
const common = {
  sender: fc.constantFrom(0, 1),
  vector,
  fast: fc.boolean(),
  padding: seldom(1, 0),
  repCount: seldom(1, 0),
  controlBits: seldom([63], [] as number[]),
  gpa: seldom(ramEnd - 24n, null as bigint | null),
};
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ ...common, targets: fc.uniqueArray(target) }).map((fields) => makeStep({ do: 'send-ipi', ...fields })),
  fc
    .record({ ...common, targets: fc.uniqueArray(targetEx), format: fc.constantFrom(0n, 0n, 1n, 2n) })
    .map((fields) => makeStep({ do: 'send-ipi-ex', ...fields })),
  fc.constant(makeStep({ do: 'run' })),
);

/** Programs of cases: two to four vCPUs, valid and invalid calls, runs. */
export const anyProgram: fc.Arbitrary<Program> = fc
  .record({
    vcpus: fc.array(vcpu, { minLength: 2, maxLength: 4 }),
    steps: fc.array(step, { minLength: 1, maxLength: 8 }),
  })
  .map(({ vcpus, steps }) => encodeCase(makeCase(vcpus, steps)));

/** Programs of any registers whatever, with call codes that the model knows. */
export const registerSoup: fc.Arbitrary<Program> = fc
  .array(
    fc.record({
      code: fc.constantFrom(0x0b, 0x15),
      upper: fc.oneof(
        fc.constantFrom(0, 1),
        fc.integer({ min: 0, max: 2 ** 11 }),
        fc.integer({ min: 0, max: 2 ** 48 - 1 }),
      ),
      bytes: fc.uint8Array({ minLength: callRegisterBytes, maxLength: callRegisterBytes }),
      isInArena: fc.boolean(),
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((calls) =>
    programOf(
      [0, 65],
      calls.map(({ code, upper, bytes, isInArena }): ProgramCall => {
        const registers = Buffer.from(bytes);
        registers.writeBigUInt64LE((BigInt(upper) << 16n) | BigInt(code), registerOffset.rcx);
        if (isInArena) registers.writeBigUInt64LE(arenaStart + 5n, registerOffset.rdx);
        return { kind: 'call', sender: 0, registers, writes: [] };
      }),
    ),
  );
