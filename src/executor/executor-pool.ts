/** Several executors of one kind as one, for a campaign that keeps all of them busy. */
import type { Observation } from '../program/observation.ts';
import type { Program } from '../program/program.ts';
import type { Executor, RunOptions } from './executor.ts';
import type { TargetFacts } from './facts.ts';

interface Lane {
  readonly executor: Executor;
  /** Batches that it was given and has not answered. */
  waiting: number;
}

export class ExecutorPool implements Executor {
  readonly facts: TargetFacts;
  readonly bootSeconds: number;
  readonly #lanes: readonly Lane[];

  /** Opens `count` executors: the first alone, because it may leave something that makes the others start faster. */
  static async open(count: number, open: () => Promise<Executor>): Promise<ExecutorPool> {
    const first = await open();
    const rest = await Promise.allSettled(Array.from({ length: count - 1 }, open));
    const opened = [first, ...rest.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))];
    const failed = rest.find((each) => each.status === 'rejected');
    if (failed === undefined) return new ExecutorPool(opened);
    await disposeAll(opened);
    throw failed.reason;
  }

  private constructor(executors: readonly Executor[]) {
    const [first] = executors as readonly [Executor];
    this.facts = first.facts;
    this.bootSeconds = Math.max(...executors.map(({ bootSeconds }) => bootSeconds ?? 0));
    this.#lanes = executors.map((executor) => ({ executor, waiting: 0 }));
  }

  /** How many batches run at the same time. */
  get lanes(): number {
    return this.#lanes.length;
  }

  /** Runs programs on the executor that has the least to do. */
  async run(programs: readonly Program[], options: RunOptions): Promise<Observation[]> {
    const lane = this.#lanes.reduce((best, each) => (each.waiting < best.waiting ? each : best));
    lane.waiting++;
    try {
      return await lane.executor.run(programs, options);
    } finally {
      lane.waiting--;
    }
  }

  expectRaces(): void {
    for (const { executor } of this.#lanes) executor.expectRaces?.();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await disposeAll(this.#lanes.map(({ executor }) => executor));
  }
}

async function disposeAll(executors: readonly Executor[]): Promise<void> {
  await Promise.all(executors.map((executor) => executor[Symbol.asyncDispose]()));
}
