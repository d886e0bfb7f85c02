/** What is run: the longest batches of the simplest call, and drawn cases by the way in which they are observed. */
import { drawBatch, isConcurrentBatch } from '../../generators/batch.ts';
import type { Batch } from '../../src/campaign/stream/batches.ts';
import { type Case, makeCase, makeStep } from '../../src/case/case.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { caseLimits } from '../../src/case/limits.ts';
import { plainEnvironment } from '../../src/case/steps/environment.ts';
import type { Program } from '../../src/program/program.ts';
import { tierOf } from '../../src/program/tier.ts';
import { hypercallsOf } from '../../src/campaign/judgement.ts';

export const batchSize = 64;
const seed = 'bench';

export function callsOf(programs: readonly Program[]): number {
  return programs.reduce((sum, { steps }) => sum + steps.filter(({ kind }) => kind === 'call').length, 0);
}

/** Calls to nobody, as many as a ring holds: nothing is left but the guest's loop. */
export function rawCase(vcpuCount = 1, stepCount: number = caseLimits.steps): Case {
  const call = makeStep({ do: 'send-ipi', fast: true });
  const vcpus = Array.from({ length: vcpuCount }, (_, vpIndex) => ({ vpIndex }));
  return makeCase(vcpus, Array<typeof call>(stepCount).fill(call));
}

/** Calls that name so many banks, in memory. */
export function bankCase(banks: number): Case {
  const targets = Array.from({ length: banks }, (_, bank) => 64 * bank);
  const call = makeStep({ do: 'send-ipi-ex', vector: 0xfe, targets });
  return makeCase([{ vpIndex: 0 }], Array<typeof call>(8).fill(call));
}

/** The same case as often as a batch holds. */
export function repeated(value: Case, times = batchSize): Program[] {
  return Array<Program>(times).fill(encodeCase(value));
}

/** Of machines with many vCPUs a batch has fewer, so that a round does not take minutes. */
const vcpusOfBatch = 4096;

/** Calls to nobody in a machine of so many vCPUs. */
export function quietMachines(vcpuCount: number): Program[] {
  return repeated(rawCase(vcpuCount), Math.min(batchSize, Math.ceil(vcpusOfBatch / vcpuCount)));
}

/** Calls to all vCPUs of a machine of so many: each of them is delivered to, and reset behind the case. */
export function busyMachines(vcpuCount: number): Program[] {
  const vcpus = Array.from({ length: vcpuCount }, (_, vpIndex) => ({ vpIndex }));
  const targets = vcpus.map(({ vpIndex }) => vpIndex);
  const call = makeStep({ do: 'send-ipi-ex', vector: 0xfe, targets });
  const value = makeCase(vcpus, Array<typeof call>(caseLimits.steps).fill(call));
  return repeated(value, Math.min(batchSize, Math.ceil(vcpusOfBatch / 4 / vcpuCount)));
}

/** How a case is observed (`tierOf`), and kinds of cases within a tier whose cost differs much from the others'. */
export const workloads = {
  pending: (program) => tierOf(program) === 'pending',
  'pending, plain callers': (program) => tierOf(program) === 'pending' && !hasEnvironment(program),
  counted: (program) => tierOf(program) === 'counted',
  'counted, none halts': (program) => tierOf(program) === 'counted' && !halts(program),
  concurrent: (program) => tierOf(program) === 'concurrent',
} as const satisfies Record<string, (program: Program) => boolean>;
export type Workload = keyof typeof workloads;

function halts({ vcpus }: Program): boolean {
  return vcpus.some(({ idle }) => idle === 'halted');
}

/** Whether any call is not the plain one: bare, native, in 64-bit mode at CPL 0. */
function hasEnvironment({ steps }: Program): boolean {
  return steps.some((step) => step.kind === 'call' && step.environment !== plainEnvironment);
}

/** Programs without a migration, and with one in every second of them: before a step that is not its first. */
export function migrating(programs: readonly Program[]): { without: Program[]; half: Program[] } {
  const migrate = { kind: 'migrate' } as const;
  const without = programs.map((one) => ({ ...one, steps: one.steps.filter(({ kind }) => kind !== 'migrate') }));
  const half = without.map((one, index) => {
    if (index % 2 === 0) return one;
    const at = 1 + (index % Math.max(1, one.steps.length - 1));
    return { ...one, steps: one.steps.toSpliced(at, 0, migrate) };
  });
  return { without, half };
}

/** Batches of one workload's cases, drawn when they are asked for, until they have so many calls. */
export function* drawnBatches(workload: Workload, callsMin: number): Generator<Batch> {
  let calls = 0;
  for (let number = 0; calls < callsMin; number++) {
    if (isConcurrentBatch(number) !== (workload === 'concurrent')) continue;
    const cases = drawBatch(seed, number, batchSize).cases.filter((value) => workloads[workload](encodeCase(value)));
    if (cases.length === 0) continue;
    calls += cases.reduce((sum, value) => sum + hypercallsOf(value), 0);
    yield {
      number,
      origin: 'drawn',
      cases,
      placeOf: (index) => ({ path: `${number}:${index}` }),
    };
  }
}
