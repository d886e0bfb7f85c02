/**
 * The listed deviations that a campaign met: how often, when first, and the smallest case. The case is shrunk by the
 * model alone, because an observation that matches the model shows what the model says. The target must then show the
 * result in fresh runs.
 */
import { type Deviation, deviations, explainViolations } from '../../oracle/tlfs/deviations.ts';
import type { JudgedCall } from '../../oracle/tlfs/tlfs.ts';
import { formatDone, formatPermitted } from '../../oracle/tlfs/tlfs-text.ts';
import { type Case, toJson } from '../case/case.ts';
import type { Place } from './stream/batches.ts';
import type { Finding } from './findings/finding.ts';
import { prepare, type Prepared, type Problem } from './judgement.ts';
import { reduce } from '../simplify/reduce.ts';
import type { Session } from './target/session.ts';

/** Attempts of the reducer; they cost no execution. */
const attemptsMax = 5000;
const confirmations = 10;

/** One deviation as a campaign saw it. */
export interface DeviationGroup {
  readonly deviation: Deviation;
  /** Hypercalls that showed it. */
  hypercalls: number;
  readonly foundAfter: Finding['foundAfter'];
  readonly path: string;
  /** The smallest case, and in it the call that shows the deviation. */
  case: Case;
  shown: JudgedCall;
  /** `again/times` of fresh runs of the smallest case. */
  confirmed: string;
}

export class DeviationLog {
  readonly #session: Session;
  readonly #groups = new Map<string, DeviationGroup>();

  constructor(session: Session) {
    this.#session = session;
  }

  /** In the order of the list. */
  get groups(): readonly DeviationGroup[] {
    return deviations.flatMap(({ name }) => this.#groups.get(name) ?? []);
  }

  /** Counts what a case shows and shrinks what is met for the first time; a problem that turns up in that is returned. */
  async note(
    { value, tlfs }: Prepared,
    place: Place,
    foundAfter: Finding['foundAfter'],
  ): Promise<{ value: Case; problem: Problem } | null> {
    const fresh: DeviationGroup[] = [];
    for (const shown of tlfs ?? []) {
      for (const deviation of explainViolations(shown).known) {
        let group = this.#groups.get(deviation.name);
        if (group === undefined) {
          const confirmed = `0/${confirmations}`;
          group = { deviation, hypercalls: 0, foundAfter, path: place.path, case: value, shown, confirmed };
          this.#groups.set(deviation.name, group);
          fresh.push(group);
        }
        group.hypercalls++;
      }
    }
    for (const group of fresh) {
      const problem = await this.#shrink(group);
      if (problem !== null) return { value: group.case, problem };
    }
    return null;
  }

  async #shrink(group: DeviationGroup): Promise<Problem | null> {
    const { facts } = this.#session;
    const { deviation } = group;
    group.case = await shrinkDeviation(group.case, deviation, facts);
    group.shown = callThatShows(group.case, deviation, facts)!;
    let again = 0;
    for (let run = 1; run <= confirmations; run++) {
      const judgement = await this.#session.probe(this.#session.prepare(group.case));
      if (judgement.class === 'deviation') again += Number(judgement.names.includes(deviation.name));
      else if (judgement.class !== 'match') return judgement;
      group.confirmed = `${again}/${confirmations}`;
    }
    return null;
  }
}

/** The smallest case that the reducer reaches in which the model shows the deviation. */
export async function shrinkDeviation(value: Case, deviation: Deviation, facts: Session['facts']): Promise<Case> {
  // On the way other deviations may go and none may come: one at a time is what a person wants to read.
  let fewest = Infinity;
  const shows = (candidate: Case): Promise<boolean> => {
    const count = deviationsOf(candidate, facts).size;
    const isShown = count <= fewest && callThatShows(candidate, deviation, facts) !== undefined;
    if (isShown) fewest = count;
    return Promise.resolve(isShown);
  };
  return (await reduce(value, shows, { attemptsMax })).value;
}

function callThatShows(value: Case, deviation: Deviation, facts: Session['facts']): JudgedCall | undefined {
  return prepare(value, facts, 'tlfs').tlfs?.find((judged) => explainViolations(judged).known.includes(deviation));
}

function deviationsOf(value: Case, facts: Session['facts']): Set<Deviation> {
  return new Set(prepare(value, facts, 'tlfs').tlfs?.flatMap((judged) => explainViolations(judged).known));
}

/** The value of one entry of `deviations` in `--json`. */
export function deviationToJson(group: DeviationGroup): object {
  const { deviation, hypercalls, foundAfter, path, confirmed, shown } = group;
  return {
    id: deviation.id,
    name: deviation.name,
    hypercalls,
    foundAfter,
    path,
    case: toJson(group.case),
    permitted: formatPermitted(shown.permitted),
    observed: formatDone(shown.done),
    confirmed,
  };
}
