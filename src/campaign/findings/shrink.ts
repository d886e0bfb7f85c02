/**
 * From a case that shows a problem to the smallest one that shows the same (`src/simplify`). A problem with another
 * signature that is met on the way is not followed, only remembered.
 */
import { type Case, caseId } from '../../case/case.ts';
import { reduce } from '../../simplify/reduce.ts';
import { isProblem, type Judgement, type Problem, sameProblem } from '../judgement.ts';
import type { Session } from '../target/session.ts';

export interface ShrinkLimits {
  /** How many smaller cases may be tried. */
  readonly attempts: number;
  readonly seconds: number;
  /** How often the kernel may fail again, since each time costs a boot. */
  readonly failures: number;
  /** Fresh runs that must show the problem again, for a divergence and for a failure of the kernel. */
  readonly confirmations: { readonly divergence: number; readonly failure: number };
}

export const defaultShrinkLimits: ShrinkLimits = {
  attempts: 2000,
  seconds: 90,
  failures: 24,
  confirmations: { divergence: 10, failure: 3 },
};

/** The search for a smaller case; `value` and `problem` are the best so far at any time, also after an error. */
export class Shrinker {
  value: Case;
  problem: Problem;
  executions = 0;
  /** `again/times` of the fresh runs at the end. */
  confirmed: string;
  /** Problems of other signatures, each with the first case that showed it. */
  readonly met = new Map<string, Case>();
  readonly #session: Session;
  readonly #limits: ShrinkLimits;
  readonly #start = performance.now();
  readonly #known = new Map<string, boolean>();
  #failures = 0;

  constructor(session: Session, value: Case, problem: Problem, limits: ShrinkLimits) {
    this.#session = session;
    this.#limits = limits;
    this.value = value;
    this.problem = problem;
    this.confirmed = `0/${this.#confirmations}`;
    this.#known.set(caseId(value), true);
  }

  get seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }

  async shrink(): Promise<void> {
    const attemptsMax = this.#limits.attempts;
    const shouldStop = (): boolean => this.#isExhausted();
    const { value } = await reduce(this.value, (candidate) => this.#stillFails(candidate), { attemptsMax, shouldStop });
    this.value = value;
  }

  /** Runs the case again, each time in a fresh VM; a race each time as often as it takes, within bounds. */
  async confirm(): Promise<void> {
    const times = this.#confirmations;
    let again = 0;
    for (let run = 1; run <= times; run++) {
      const prepared = this.#session.prepare(this.value);
      const judgement = await this.#session.probePatiently(prepared, (one) => sameProblem(one, this.problem));
      if (sameProblem(judgement, this.problem)) again++;
      this.confirmed = `${again}/${times}`;
    }
  }

  get #confirmations(): number {
    const { divergence, failure } = this.#limits.confirmations;
    return this.problem.class === 'divergence' ? divergence : failure;
  }

  async #stillFails(candidate: Case): Promise<boolean> {
    const id = caseId(candidate);
    const known = this.#known.get(id);
    if (known !== undefined) return known;
    // What it would show there would be the emulator's.
    if (this.#session.refusal(candidate) !== null) return false;
    const isSame = (judgement: Judgement): boolean => sameProblem(judgement, this.problem);
    const judgement = await this.#session.probePatiently(this.#session.prepare(candidate), isSame);
    this.executions++;
    const same = sameProblem(judgement, this.problem) && (await this.#showsAgain(candidate));
    this.#known.set(id, same);
    if (isProblem(judgement)) {
      if (judgement.class !== 'divergence') this.#failures++;
      if (!same && !this.met.has(judgement.signature)) this.met.set(judgement.signature, candidate);
      if (same) {
        this.value = candidate;
        this.problem = judgement;
      }
    }
    return same;
  }

  /**
   * What reads memory that nobody wrote shows now and then. A step down that shows twice leads to a case that can be
   * confirmed. Races are asked often enough as it is, and a kernel that fails costs a boot.
   */
  async #showsAgain(candidate: Case): Promise<boolean> {
    if (this.problem.class !== 'divergence' || candidate.machine.schedule !== null) return true;
    this.executions++;
    return sameProblem(await this.#session.probe(this.#session.prepare(candidate)), this.problem);
  }

  #isExhausted(): boolean {
    return this.seconds > this.#limits.seconds || this.#failures >= this.#limits.failures;
  }
}
