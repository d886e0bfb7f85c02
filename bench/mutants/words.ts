/**
 * The ablation: programs without structure. Every word of a call is zero, a byte or 64 random bits, and nothing knows
 * which words belong together; only the call code is given. The model, the observation and the way a suspect is
 * repeated are those of the campaign, so what differs is what the generators know.
 */
import seedrandom from 'seedrandom';
import { HVCALL_SEND_IPI, HVCALL_SEND_IPI_EX } from '../../src/abi/hypercall.ts';
import { makeCase, makeVcpu } from '../../src/case/case.ts';
import { defaultInputGpa } from '../../src/case/memory.ts';
import { plainEnvironment } from '../../src/case/steps/environment.ts';
import { callRegisterBytes, type Program, type ProgramCall, registerOffset } from '../../src/program/program.ts';
import type { Executor } from '../../src/executor/executor.ts';
import { KernelFailure } from '../../src/errors.ts';
import { predict } from '../../oracle/model.ts';
import { judge } from '../../oracle/compare/verdict.ts';
import { type Measurement, nothingFound } from './row.ts';

const programsPerBatch = 64;
const callsPerProgram = 16;
const blockWords = 67;
const vpIndexes = 4096;
const vcpusMax = 8;
const { vcpus: _vcpus, ...machine } = makeCase([], []).machine;

export type Random = () => number;

/** A program of random words. */
export function drawWords(random: Random): Program {
  const vcpus = Array.from({ length: 1 + below(random, vcpusMax) }, () =>
    makeVcpu({ vpIndex: below(random, vpIndexes) }),
  );
  const steps = Array.from({ length: callsPerProgram }, (_, index) => drawCall(random, vcpus.length, index));
  return { machine, vcpus, steps: random() < 0.5 ? steps : [...steps, { kind: 'run' }] };
}

function drawCall(random: Random, vcpuCount: number, index: number): ProgramCall {
  const registers = Buffer.alloc(callRegisterBytes);
  const { rdx, r8, xmm } = registerOffset;
  const xmmHalves = Array.from({ length: (callRegisterBytes - xmm) / 8 }, (_, half) => xmm + 8 * half);
  for (const offset of [rdx, r8, ...xmmHalves]) registers.writeBigUInt64LE(word(random), offset);
  const code = random() < 0.5 ? HVCALL_SEND_IPI : HVCALL_SEND_IPI_EX;
  const isFast = random() < 0.5;
  // A byte's worth of control word lies above the fast bit, where the variable header is.
  const control = (word(random) << 17n) | (isFast ? 1n << 16n : 0n) | BigInt(code);
  registers.writeBigUInt64LE(BigInt.asUintN(64, control), registerOffset.rcx);
  const sender = below(random, vcpuCount);
  if (isFast) return { kind: 'call', sender, environment: plainEnvironment, registers, writes: [] };
  const gpa = defaultInputGpa(index);
  registers.writeBigUInt64LE(gpa, registerOffset.rdx);
  const bytes = Buffer.alloc(8 * blockWords);
  for (let offset = 0; offset < bytes.length; offset += 8) bytes.writeBigUInt64LE(word(random), offset);
  return { kind: 'call', sender, environment: plainEnvironment, registers, writes: [{ gpa, bytes }] };
}

function word(random: Random): bigint {
  const kind = below(random, 3);
  if (kind === 0) return 0n;
  if (kind === 1) return BigInt(below(random, 256));
  return (BigInt(below(random, 2 ** 32)) << 32n) | BigInt(below(random, 2 ** 32));
}

function below(random: Random, end: number): number {
  return Math.floor(random() * end);
}

/** Runs random words until something differs or the time is over. Nothing is shrunk. */
export async function fuzzWords(executor: Executor, seed: string, budgetSeconds: number): Promise<Measurement> {
  const random = seedrandom(seed);
  const start = performance.now();
  const elapsed = (): number => Math.round(performance.now() - start) / 1000;
  let hypercalls = 0;
  const measured = (found: { class: string; signature: string } | null): Measurement => ({
    ...nothingFound,
    ...found,
    found: found !== null,
    kernel: executor.facts.kernelRelease,
    hypercalls,
    seconds: elapsed(),
  });
  try {
    while (elapsed() < budgetSeconds) {
      const programs = Array.from({ length: programsPerBatch }, () => drawWords(random));
      hypercalls += programs.length * callsPerProgram;
      const signature = await differenceIn(executor, programs);
      if (signature !== null) return measured({ class: 'divergence', signature });
    }
  } catch (error) {
    if (!(error instanceof KernelFailure)) throw error;
    return measured({ class: error.kind, signature: error.fingerprint });
  }
  return measured(null);
}

/** The signature of the first program that differs alone as well as in the batch. */
async function differenceIn(executor: Executor, programs: readonly Program[]): Promise<string | null> {
  const observations = await executor.run(programs, { exact: false });
  // Fewer than programs where one was stopped.
  for (const [index, observation] of observations.entries()) {
    const program = programs[index]!;
    const outcome = predict(program, executor.facts);
    if (judge(program, outcome, observation).kind === 'match') continue;
    const [alone] = await executor.run([program], { exact: true });
    const verdict = judge(program, outcome, alone!);
    if (verdict.kind !== 'match') return verdict.signature;
  }
  return null;
}
