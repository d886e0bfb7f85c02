/** Rates in the lab: the guest's loop, programs that are only run, and whole campaigns. */
import { runCampaign } from '../../src/campaign/campaign.ts';
import { defaultShrinkLimits } from '../../src/campaign/findings/shrink.ts';
import { encodeCase } from '../../src/program/encode.ts';
import type { Program } from '../../src/program/program.ts';
import type { Executor } from '../../src/executor/executor.ts';
import { type Clock, type Figure, labRate, type Series } from './figure.ts';
import {
  bankCase,
  busyMachines,
  callsOf,
  drawnBatches,
  migrating,
  quietMachines,
  rawCase,
  repeated,
  type Workload,
} from './workload.ts';

/** A race costs tens of milliseconds, and so does a call while vCPUs halt. */
const callsPerRound: Record<Workload, number> = {
  pending: 2000,
  'pending, plain callers': 2000,
  counted: 1000,
  'counted, none halts': 2000,
  concurrent: 400,
};
/** One lab and several have the same to do: batches differ much in what they cost. */
export const callsOfJobs = 6000;
const never = new AbortController().signal;

/** Runs batches, two on their way, and looks at nothing. */
async function runOnly(executor: Executor, batches: readonly (readonly Program[])[]): Promise<number> {
  await Promise.all(batches.map((batch) => executor.run(batch, { exact: false })));
  return batches.reduce((sum, batch) => sum + callsOf(batch), 0);
}

export function rawLoop(executor: Executor, clock: Clock, name = 'raw guest loop'): Promise<Figure[]> {
  const programs = repeated(rawCase());
  const batches = Array<readonly Program[]>(2 * (executor.lanes ?? 1)).fill(programs);
  return labRate(name, clock, () => runOnly(executor, batches));
}

/** Programs that are made beforehand and not judged. */
export function runAlone(executor: Executor, clock: Clock, workload: Workload): Promise<Figure[]> {
  const batches = [...drawnBatches(workload, callsPerRound[workload])].map(({ cases }) => cases.map(encodeCase));
  return labRate(`${workload}, run alone`, clock, () => runOnly(executor, batches));
}

/** What a migration in half of the cases costs. */
export async function migrations(executor: Executor, clock: Clock, workload: Workload): Promise<Figure[]> {
  const batches = [...drawnBatches(workload, callsPerRound[workload])].map(({ cases }) =>
    migrating(cases.map(encodeCase)),
  );
  const run = (name: string, chosen: readonly (readonly Program[])[]): Promise<Figure[]> =>
    labRate(`${workload}, ${name}`, clock, () => runOnly(executor, chosen));
  return [
    ...(await run(
      'no migration',
      batches.map(({ without }) => without),
    )),
    ...(await run(
      'half migrate',
      batches.map(({ half }) => half),
    )),
  ];
}

/** A campaign: draw, encode, predict, run, judge. */
export function endToEnd(
  executor: Executor,
  clock: Clock,
  workload: Workload,
  { name = `${workload}, end to end`, calls = callsPerRound[workload] } = {},
): Promise<Figure[]> {
  return labRate(name, clock, () => campaign(executor, { batches: drawnBatches(workload, calls) }));
}

/** Memory of this process during a campaign of so many seconds: a value every ten seconds. */
export async function memoryOver(executor: Executor, seconds: number): Promise<Figure[]> {
  const rounds: number[] = [];
  const look = (): void => void rounds.push(process.memoryUsage().rss / 2 ** 20);
  const timer = setInterval(look, 10_000);
  try {
    await campaign(executor, { seconds, tier: 'ordered' });
  } finally {
    clearInterval(timer);
  }
  look();
  const name = `memory over ${Math.round(seconds / 60)} minutes`;
  return [
    { name, unit: 'MiB', rounds },
    { name: `${name}, at the end`, unit: 'MiB', rounds: rounds.slice(-1) },
  ];
}

/** Runs a campaign that is to find nothing; how many calls it made. */
async function campaign(
  executor: Executor,
  given: Partial<Pick<Parameters<typeof runCampaign>[1], 'batches' | 'seconds' | 'tier'>>,
): Promise<number> {
  const target = {
    name: 'lab',
    replayArguments: [],
    // The campaign closes what it opened; this one stays open.
    open: () => Promise.resolve(new Kept(executor)),
  };
  const options = {
    contract: 'kvm',
    seed: 'bench',
    fromBatch: 0,
    corpus: [],
    runs: Infinity,
    seconds: Infinity,
    keepGoing: false,
    out: 'hvipi-findings',
    shrink: defaultShrinkLimits,
    warn: () => undefined,
  } as const;
  const { tally, findings } = await runCampaign(target, { ...options, ...given }, never);
  if (findings.length > 0) throw new Error(`a finding in the bench: ${findings[0]!.signature}`);
  return tally.hypercalls;
}

class Kept implements Executor {
  readonly facts;
  readonly lanes;
  readonly run: Executor['run'];

  constructor(executor: Executor) {
    this.facts = executor.facts;
    this.lanes = executor.lanes ?? 1;
    this.run = (programs, options) => executor.run(programs, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Its owner closes it.
  }
}

/** Cost against vCPUs, steps of a case, and banks of a call. */
export async function seriesOf(executor: Executor, clock: Clock, vcpusMax: number): Promise<Series[]> {
  const over = async (title: string, values: readonly number[], programsOf: (value: number) => Program[]) => {
    const points: Series['points'][number][] = [];
    for (const at of values) {
      const programs = programsOf(at);
      const [, figure] = await labRate(`${title} ${at}`, clock, () => runOnly(executor, [programs, programs]));
      points.push({ at, figure });
    }
    return { title, points };
  };
  const powers = (max: number): number[] => Array.from({ length: Math.log2(max) + 1 }, (_, bit) => 2 ** bit);
  return [
    await over('vCPUs, none of them called', powers(vcpusMax), quietMachines),
    await over('vCPUs, all of them called', powers(vcpusMax), busyMachines),
    await over('steps of a case', powers(64), (count) => repeated(rawCase(1, count))),
    await over('banks of a call', powers(64), (count) => repeated(bankCase(count))),
  ];
}
