/** Programs for the oracle's tests: by literal registers, and drawn at random without the project's generators. */
import fc from 'fast-check';
import {
  type CallStep,
  type Case,
  makeCase,
  makeStep,
  makeVcpu,
  type Step,
  type VcpuSetup,
} from '../../src/case/case.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { arenaStart, ramEnd } from '../../src/case/memory.ts';
import { type Environment, plainEnvironment } from '../../src/case/steps/environment.ts';
import {
  callRegisterBytes,
  environmentRegisterBytes,
  type Program,
  type ProgramCall,
  registerOffset,
} from '../../src/program/program.ts';
import type { TargetFacts } from '../../src/executor/facts.ts';
import { isWellFormed } from '../../src/case/checks.ts';

export const facts: TargetFacts = {
  target: 'lab',
  kernelRelease: '6.12.0-test',
  cpu: 'AuthenticAMD',
  kvmMaxVcpus: 4096,
  irqchips: ['kernel', 'split', 'none'],
  xen: true,
  kvmOptions: '',
  emulator: null,
};
/** Debian's 6.1: fewer vCPUs, no Xen, no extended hypercalls. */
export const oldFacts: TargetFacts = { ...facts, kernelRelease: '6.1.0-51-amd64', kvmMaxVcpus: 1024, xen: false };

/** Registers of a call; `xmm` are halves from XMM0.lo on. RBX, RSI and RDI only matter outside of the plain environment. */
export interface CallRegisters {
  readonly rcx?: bigint;
  readonly rdx?: bigint;
  readonly r8?: bigint;
  readonly rax?: bigint;
  readonly rbx?: bigint;
  readonly rsi?: bigint;
  readonly rdi?: bigint;
  readonly xmm?: readonly bigint[];
}

export function registersOf({ xmm = [], ...general }: CallRegisters, length = callRegisterBytes): Buffer {
  const registers = Buffer.alloc(environmentRegisterBytes);
  for (const name of ['rcx', 'rdx', 'r8', 'rax', 'rbx', 'rsi', 'rdi'] as const) {
    registers.writeBigUInt64LE(general[name] ?? 0n, registerOffset[name]);
  }
  xmm.forEach((half, index) => registers.writeBigUInt64LE(half, registerOffset.xmm + 8 * index));
  return registers.subarray(0, length);
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
  return { kind: 'call', sender: 0, environment: plainEnvironment, registers: registersOf(registers), writes };
}

/** A call by vCPU 0 with literal registers in an environment that is not the plain one. */
export function enteredCall(environment: Partial<Environment>, registers: CallRegisters, sender = 0): ProgramCall {
  const bytes = registersOf(registers, environmentRegisterBytes);
  const whole = { ...plainEnvironment, ...environment };
  return { kind: 'call', sender, environment: whole, registers: bytes, writes: [] };
}

/** A program on vCPUs that all have default set-ups. */
export function programOf(
  vpIndexes: readonly number[],
  steps: Program['steps'],
  machine: Partial<Program['machine']> = {},
): Program {
  const vcpus = vpIndexes.map((vpIndex) => ({ vpIndex }));
  return { ...encodeCase(makeCase(vcpus, [], machine)), steps };
}

const vpIndex = fc.constantFrom(0, 1, 2, 63, 64, 65, 130, 2048, 4095, 4096, 2 ** 32 - 1);
const target = fc.constantFrom(0, 1, 2, 63);
const targetEx = fc.constantFrom(0, 1, 2, 63, 64, 65, 130, 2048, 4095);
const vector = fc.constantFrom(0x0f, 0x10, 0x20, 0xfe, 0xff, 0x100);
const vectors = fc.uniqueArray(fc.constantFrom(0x10, 0x1f, 0x20, 0x41, 0xfe), { maxLength: 2 });
const rarely = <T>(value: fc.Arbitrary<T>, often: T): fc.Arbitrary<T> =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(often) }, value);
const seldom = <T>(value: T, often: T): fc.Arbitrary<T> => rarely<T>(fc.constant(value), often);

const vcpu: fc.Arbitrary<VcpuSetup> = fc
  .record({
    vpIndex,
    apic: fc.constantFrom('x2apic', 'x2apic', 'xapic', 'software-disabled', 'hardware-disabled'),
    idle: fc.constantFrom('parked', 'parked', 'parked', 'halted', 'uninitialized', 'init-received'),
    lacks: rarely<VcpuSetup['lacks']>(fc.subarray(['hyperv', 'cluster-ipi', 'ex-masks', 'xmm-input']), []),
    enforced: fc.boolean(),
    tpr: rarely<number>(fc.integer({ min: 1, max: 15 }), 0),
    irr: rarely<number[]>(vectors, []),
    isr: rarely<number[]>(vectors, []),
  })
  .map(makeVcpu);

/** Where `write-msr` steps put the hypercall page; behind it is one that nobody sets up. */
const pageStart = arenaStart + 0x4000n;
const common = {
  sender: fc.constantFrom(0, 1),
  mode: rarely<CallStep['mode']>(fc.constantFrom('compat', 'protected32', 'unpaged32', 'protected16', 'real'), 'long'),
  cpl: rarely<number>(fc.constantFrom(1, 3), 0),
  page: rarely<bigint | null>(fc.constantFrom(pageStart, pageStart + 0x1000n), null),
  opcode: seldom<CallStep['opcode']>('other', 'native'),
  vector,
  fast: fc.boolean(),
  padding: seldom<number>(1, 0),
  repCount: seldom<number>(1, 0),
  controlBits: rarely<number[]>(fc.constantFrom([63], [31], [15]), []),
  gpa: rarely<bigint | null>(fc.constantFrom(ramEnd - 24n, pageStart), null),
  rax: rarely<bigint>(fc.constantFrom(11n, 0x1_0000_000bn), 0x8000_0040n),
};
const anyVcpu = fc.constantFrom(0, 1);
const call = fc
  .record({ ...common, targets: fc.uniqueArray(target) })
  .map((fields): Step => makeStep({ do: 'send-ipi', ...fields }));
const callEx = fc
  .record({ ...common, targets: fc.uniqueArray(targetEx), format: fc.constantFrom(0n, 0n, 1n, 2n) })
  .map((fields): Step => makeStep({ do: 'send-ipi-ex', ...fields }));
const writeMsr = fc
  .record({
    vcpu: anyVcpu,
    write: fc.constantFrom(
      { msr: 'guest-os-id', value: 0n } as const,
      { msr: 'guest-os-id', value: 1n } as const,
      { msr: 'hypercall', value: 0n } as const,
      { msr: 'hypercall', value: pageStart | 1n } as const,
      { msr: 'hypercall', value: ramEnd | 1n } as const,
      { msr: 'vp-index', value: 1n } as const,
      { msr: 'vp-index', value: 4096n } as const,
    ),
  })
  .map(({ write, ...fields }): Step => makeStep({ do: 'write-msr', ...write, ...fields }));
const setApic = fc
  .record({ vcpu: anyVcpu, apic: fc.constantFrom('enabled', 'software-disabled', 'hardware-disabled') })
  .map((fields): Step => makeStep({ do: 'set-apic', ...fields }));
const step = fc.oneof(
  { weight: 4, arbitrary: call },
  { weight: 4, arbitrary: callEx },
  { weight: 2, arbitrary: fc.constant(makeStep({ do: 'run' })) },
  { weight: 2, arbitrary: writeMsr },
  { weight: 1, arbitrary: setApic },
  { weight: 1, arbitrary: fc.constant(makeStep({ do: 'init', vcpu: 1 })) },
  { weight: 1, arbitrary: fc.constant(makeStep({ do: 'migrate' })) },
);

const anyCase: fc.Arbitrary<Case> = fc
  .record({
    vcpus: fc.array(vcpu, { minLength: 2, maxLength: 4 }),
    steps: fc.array(step, { minLength: 1, maxLength: 8 }),
    machine: fc.record({
      irqchip: rarely<Case['machine']['irqchip']>(fc.constantFrom('split', 'none'), 'kernel'),
      xen: seldom<boolean>(true, false),
      guestOsId: seldom<bigint>(0n, 0x8100_0000_0000_0000n),
    }),
  })
  .map(({ vcpus, steps, machine }) => fitting(makeCase(vcpus, steps, machine)))
  .filter(isWellFormed);

/** Programs of cases: two to four vCPUs, valid and invalid calls in any mode, runs, changes of the machine. */
export const anyProgram: fc.Arbitrary<Program> = anyCase.map(encodeCase);

/** The case without the steps that do not go with what stands before them. */
function fitting(value: Case): Case {
  const steps: Step[] = [];
  for (const next of value.steps) {
    if (isWellFormed({ ...value, steps: [...steps, next] })) steps.push(next);
  }
  return { ...value, steps: steps.length === 0 ? [makeStep({ do: 'send-ipi' })] : steps };
}

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
        return { kind: 'call', sender: 0, environment: plainEnvironment, registers, writes: [] };
      }),
    ),
  );
