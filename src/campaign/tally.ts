/** What a campaign has counted so far, and the hash by which two campaigns are compared. */
import { createHash } from 'node:crypto';
import { kvmRules } from '../../oracle/rules.ts';
import { caseId } from '../case/case.ts';
import { hypercallsOf, type Judgement, type Prepared } from './judgement.ts';

const ruleNames: ReadonlySet<string> = new Set(kvmRules.map(({ name }) => name));

export class Tally {
  cases = 0;
  corpusCases = 0;
  hypercalls = 0;
  /** Cases that showed a problem which another case had shown before. */
  repeats = 0;
  readonly rulesHit = new Set<string>();
  readonly rulesTotal = ruleNames.size;
  readonly #hash = createHash('sha256');
  #start = performance.now();

  /** Time counts from the first case, not from the boot. */
  startClock(): void {
    this.#start = performance.now();
  }

  get seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /** Counts a case; cases come in the order of the stream, whatever the order in which they ran. */
  add({ value, outcome }: Prepared, judgement: Judgement, verdict: string): void {
    this.cases++;
    this.hypercalls += hypercallsOf(value);
    for (const { rule } of outcome.steps) if (ruleNames.has(rule)) this.rulesHit.add(rule);
    const signature = judgement.class === 'match' ? '' : ` ${judgement.signature}`;
    this.#hash.update(`${caseId(value)} ${verdict}${signature}\n`);
  }

  /** SHA-256 over the ids and verdicts of all cases so far. */
  get streamHash(): string {
    return this.#hash.copy().digest('hex');
  }
}
