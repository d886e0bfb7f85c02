/** What a campaign has counted so far, and the hash by which two campaigns are compared. */
import { createHash } from 'node:crypto';
import type { Contract } from '../../oracle/contract.ts';
import { shownFaults } from '../../oracle/kvm-faults.ts';
import type { Outcome } from '../../oracle/outcome.ts';
import { type Case, caseId } from '../case/case.ts';
import { type Tier, tierOf } from '../program/tier.ts';
import { Coverage, reachableRules } from './coverage.ts';
import { hypercallsOf, isProblem, type Judgement, type Prepared } from './judgement.ts';

export class Tally {
  cases = 0;
  corpusCases = 0;
  hypercalls = 0;
  /** Hypercalls by the tier of their case. */
  readonly byTier: Record<Tier, number> = { pending: 0, counted: 0, concurrent: 0 };
  /** Cases that showed a problem which another case had shown before. */
  repeats = 0;
  /** Hypercalls that showed a fault of KVM itself, by its name. */
  readonly kvmFaults = new Map<string, number>();
  /** Points that were checked, by space. */
  readonly points = new Map<string, number>();
  readonly coverage = new Coverage();
  /** Names of the rules that this KVM can reach. */
  readonly rules: readonly string[];
  readonly #hash = createHash('sha256');
  #start = performance.now();

  constructor(contract: Contract) {
    this.rules = reachableRules(contract);
  }

  get rulesHit(): readonly string[] {
    const hit = this.coverage.rules;
    return this.rules.filter((rule) => hit.has(rule));
  }

  /** Time counts from the first case, not from the boot. */
  startClock(): void {
    this.#start = performance.now();
  }

  get seconds(): number {
    return (performance.now() - this.#start) / 1000;
  }

  /** Counts a case; cases come in the order of the stream, whatever the order in which they ran. */
  add({ value, program, outcome }: Prepared, judgement: Judgement, verdict: string): void {
    this.cases++;
    this.hypercalls += hypercallsOf(value);
    this.byTier[tierOf(program)] += hypercallsOf(value);
    this.coverage.add(program, outcome);
    if (!isProblem(judgement)) this.#addFaults(outcome);
    const signature = judgement.class === 'match' ? '' : ` ${judgement.signature}`;
    this.#hash.update(`${caseId(value)} ${verdict}${signature}\n`);
  }

  /** What matches the model shows what the model says. */
  #addFaults(outcome: Outcome): void {
    for (const { fault } of shownFaults(outcome)) {
      this.kvmFaults.set(fault.name, (this.kvmFaults.get(fault.name) ?? 0) + 1);
    }
  }

  /** Counts the points of a case of a space: each is one call. */
  addPoints(space: string, value: Case): void {
    this.points.set(space, (this.points.get(space) ?? 0) + hypercallsOf(value));
  }

  /** SHA-256 over the ids and verdicts of all cases so far. */
  get streamHash(): string {
    return this.#hash.copy().digest('hex');
  }
}
