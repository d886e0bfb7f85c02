/** What runs programs. An executor reports facts; it never judges them. */
import type { Observation } from '../program/observation.ts';
import type { Program } from '../program/program.ts';
import type { TargetFacts } from './facts.ts';

export interface RunOptions {
  /**
   * True: a fresh VM for every program, LAPICs read after every step, memory compared after every program.
   * False: pooled VMs, LAPICs read after the last step, memory compared after the batch.
   */
  readonly exact: boolean;
  /** Of an exact run: LAPICs are read after the last step alone, and calls are grouped as in a batch. */
  readonly quiet?: boolean;
}

export interface Executor extends AsyncDisposable {
  readonly facts: TargetFacts;
  /** Seconds that the kernel under test took to boot; absent where none was booted. */
  readonly bootSeconds?: number;
  /** How many batches it works on at the same time; 1 where absent. */
  readonly lanes?: number;
  /**
   * Runs programs in order; as many observations as programs, unless the last of them was stopped: what stops one program
   * is likely to stop the next one, and that takes seconds each time.
   */
  run(programs: readonly Program[], options: RunOptions): Promise<Observation[]>;
  /** A piece of a file of the kernel that runs the programs, such as /proc/kcore; shorter at the file's end. */
  readPiece?(path: string, offset: bigint, bytes: number): Promise<Buffer>;
  /** Races will come: what they need may get ready beside what runs. */
  expectRaces?(): void;
}
