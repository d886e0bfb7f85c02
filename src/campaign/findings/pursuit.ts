/** What becomes of a problem: a finding per signature, shrunk, confirmed and saved. */
import type { Case } from '../../case/case.ts';
import type { Place } from '../stream/batches.ts';
import { type Finding, makeFinding, saveFinding } from './finding.ts';
import type { Prepared, Problem } from '../judgement.ts';
import type { Session } from '../target/session.ts';
import { Shrinker, type ShrinkLimits } from './shrink.ts';
import type { Tally } from '../tally.ts';
import type { Target } from '../target/target.ts';

export interface PursuitOptions {
  readonly seed: string;
  /** Folder for findings. */
  readonly out: string;
  readonly shrink: ShrinkLimits;
  readonly target: Target;
  /** Keeps a finding; by default a file in `out`. */
  readonly save?: (finding: Finding) => Promise<unknown>;
  /** Problems that need no pursuit any more. */
  readonly known?: readonly Pick<Problem, 'class' | 'signature'>[];
  /** Told when a finding cannot be saved. */
  readonly warn: (line: string) => void;
}

/** A place that shows one unstable problem after another is recorded this often and counted after that. */
const unstableMax = 20;

export class Pursuit {
  readonly findings: Finding[] = [];
  /** Cases that showed a problem alone, known or new. */
  problems = 0;
  readonly #session: Session;
  readonly #tally: Tally;
  readonly #options: PursuitOptions;
  readonly #onFinding: (finding: Finding, isSaved: boolean) => void;
  readonly #known = new Set<string>();
  readonly #knownUnstable = new Set<string>();

  constructor(
    session: Session,
    tally: Tally,
    options: PursuitOptions,
    onFinding: (finding: Finding, isSaved: boolean) => void,
  ) {
    this.#session = session;
    this.#tally = tally;
    this.#options = options;
    this.#onFinding = onFinding;
    for (const problem of options.known ?? []) this.#known.add(keyOf(problem));
  }

  isKnown(problem: Problem): boolean {
    return this.#known.has(keyOf(problem));
  }

  /** Shrinks, confirms and saves the problem; false when it was known. The finding survives whatever goes wrong here. */
  async pursue(value: Case, problem: Problem, place: Place): Promise<boolean> {
    this.problems++;
    if (this.isKnown(problem)) {
      this.#tally.repeats++;
      return false;
    }
    this.#known.add(keyOf(problem));
    const { foundAfter } = this;
    const shrinker = new Shrinker(this.#session, value, problem, this.#options.shrink);
    try {
      await shrinker.shrink();
      await shrinker.confirm();
    } finally {
      await this.#record(shrinker, { foundAfter, place, stable: true, batch: [] });
    }
    return true;
  }

  /** Keeps a problem that the case alone does not show, with everything that ran before it in its batch. */
  async recordUnstable(value: Case, problem: Problem, place: Place, batch: readonly Prepared[]): Promise<void> {
    if (this.#knownUnstable.has(keyOf(problem)) || this.#knownUnstable.size >= unstableMax) {
      this.#tally.repeats++;
      return;
    }
    this.#knownUnstable.add(keyOf(problem));
    const shrinker = new Shrinker(this.#session, value, problem, this.#options.shrink);
    const cases = batch.map((prepared) => prepared.value);
    await this.#record(shrinker, { foundAfter: this.foundAfter, place, stable: false, batch: cases });
  }

  async #record(
    shrinker: Shrinker,
    parts: { foundAfter: Finding['foundAfter']; place: Place; stable: boolean; batch: readonly Case[] },
  ): Promise<void> {
    const { seed, out, target, warn } = this.#options;
    const { value, problem, executions, confirmed, met } = shrinker;
    const { foundAfter, place, stable, batch } = parts;
    const finding = makeFinding({
      value,
      problem,
      stable,
      foundAfter,
      confirmed,
      seed,
      batch,
      met,
      out,
      shrink: { seconds: rounded(shrinker.seconds), executions },
      path: place.path,
      facts: this.#session.facts,
      replayArguments: target.replayArguments,
    });
    this.findings.push(finding);
    let isSaved = true;
    try {
      await (this.#options.save?.(finding) ?? saveFinding(finding, out));
    } catch (error) {
      isSaved = false;
      warn(`cannot save finding ${finding.id} in ${out}, it is printed whole instead: ${(error as Error).message}`);
    }
    this.#onFinding(finding, isSaved);
  }

  /** Where in the campaign we are. */
  get foundAfter(): Finding['foundAfter'] {
    const { cases, hypercalls, seconds } = this.#tally;
    return { cases, hypercalls, seconds: rounded(seconds) };
  }
}

/** Seconds to the millisecond. */
export function rounded(seconds: number): number {
  return Math.round(seconds * 1000) / 1000;
}

function keyOf(problem: Pick<Problem, 'class' | 'signature'>): string {
  return `${problem.class} ${problem.signature}`;
}
