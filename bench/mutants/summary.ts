/** Figures of rows: how much was found, how fast, how small, and by name what was not. */
import { editId } from './build.ts';
import { type Grade, grades, type Mutant } from './mutant.ts';
import type { Method, Row } from './row.ts';

export interface Share {
  readonly of: number;
  readonly count: number;
}

export interface GradeFigures {
  readonly grade: Grade;
  readonly found: Share;
  readonly secondsMedian: number | null;
  readonly secondsMax: number | null;
  readonly hypercallsMedian: number | null;
}

export interface Summary {
  readonly method: Method;
  /** Mutants of the catalogue with and without a row. */
  readonly measured: Share;
  readonly grades: readonly GradeFigures[];
  /** Rows of mutants that are not equivalent. */
  readonly found: Share;
  readonly easyInTime: Share;
  readonly falseAlarms: Share;
  readonly misses: readonly Row[];
  readonly alarms: readonly Row[];
  /** Of stable findings: those of which every confirmation succeeded. */
  readonly confirmed: Share;
  readonly unconfirmed: readonly Row[];
  readonly stepsMedian: number | null;
  readonly callsMedian: number | null;
  readonly vcpusMedian: number | null;
  readonly bitsMedian: number | null;
  /** Findings whose case is larger than an expert's would be: more than three steps, two vCPUs, or a bit a bank. */
  readonly large: readonly Row[];
}

/** An easy mutant should be found in this time. */
export const easySeconds = 5;

export function summarize(method: Method, rows: readonly Row[], catalogue: readonly Mutant[]): Summary {
  const own = rowsOf(method, rows, catalogue);
  const wrong = own.filter(({ expect }) => expect !== 'equivalent');
  const same = own.filter(({ expect }) => expect === 'equivalent');
  const found = wrong.filter((row) => row.found);
  const easy = wrong.filter(({ grade }) => grade === 'easy');
  const sized = found.filter(({ steps, stable }) => steps !== null && stable === true);
  const isConfirmed = ({ confirmed }: Row): boolean => confirmed !== null && isAll(confirmed);
  const confirmable = found.filter(({ confirmed }) => confirmed !== null);
  const alarms = same.filter((row) => row.found);
  return {
    method,
    measured: { of: catalogue.length, count: new Set(own.map(({ mutant }) => mutant)).size },
    grades: grades.map((grade) => figuresOf(grade, wrong)),
    found: { of: wrong.length, count: found.length },
    easyInTime: { of: easy.length, count: easy.filter((row) => row.found && row.seconds <= easySeconds).length },
    falseAlarms: { of: same.length, count: alarms.length },
    misses: wrong.filter((row) => !row.found),
    alarms,
    confirmed: { of: confirmable.length, count: confirmable.filter(isConfirmed).length },
    unconfirmed: confirmable.filter((row) => !isConfirmed(row)),
    stepsMedian: median(sized.map(({ steps }) => steps!)),
    callsMedian: median(sized.map(({ calls }) => calls!)),
    vcpusMedian: median(sized.map(({ vcpus }) => vcpus!)),
    bitsMedian: median(sized.map(({ bits }) => bits!)),
    large: sized.filter(({ steps, vcpus, bits }) => steps! > 3 || vcpus! > 2 || bits! > 1),
  };
}

/** Rows of a method whose edit is that of the catalogue. */
export function rowsOf(method: Method, rows: readonly Row[], catalogue: readonly Mutant[]): Row[] {
  const edits = new Map(catalogue.map((mutant) => [mutant.name, editId(mutant)]));
  return rows.filter((row) => row.method === method && edits.get(row.mutant) === row.edit);
}

/** The seed with which most mutants were run; of equal ones the first. Null without rows. */
export function mainSeed(rows: readonly Row[]): string | null {
  const counts = new Map<string, number>();
  for (const { seed } of rows) counts.set(seed, (counts.get(seed) ?? 0) + 1);
  const [first = null] = [...counts].sort(([left, a], [right, b]) => b - a || (left < right ? -1 : 1));
  return first === null ? null : first[0];
}

/** Mutants of a grade that were run with several seeds; each counts with the median of its seeds. */
export interface SeedFigures {
  readonly grade: Grade;
  readonly mutants: number;
  readonly foundByAll: number;
  readonly foundByNone: number;
  /** Of those that every seed finds. */
  readonly secondsMedian: number | null;
  readonly hypercallsMedian: number | null;
}

export interface SeveralSeeds {
  readonly seeds: readonly string[];
  readonly grades: readonly SeedFigures[];
  /** Equivalent mutants, and those of them that some seed reported. */
  readonly falseAlarms: Share;
  /** Mutants that some seeds find and others do not. */
  readonly sometimes: readonly { readonly mutant: string; readonly found: Share }[];
}

/** Mutants that were run with all of the seeds that there are; null where there is one seed only. */
export function compareSeeds(rows: readonly Row[]): SeveralSeeds | null {
  const seeds = [...new Set(rows.map(({ seed }) => seed))].sort();
  if (seeds.length < 2) return null;
  const byMutant = new Map<string, Row[]>();
  for (const row of rows) byMutant.set(row.mutant, [...(byMutant.get(row.mutant) ?? []), row]);
  const whole = [...byMutant.values()].filter((own) => new Set(own.map(({ seed }) => seed)).size === seeds.length);
  const wrong = whole.filter(([row]) => row!.expect !== 'equivalent');
  const same = whole.filter(([row]) => row!.expect === 'equivalent');
  const isFoundByAll = (own: readonly Row[]): boolean => own.every(({ found }) => found);
  const isFound = (own: readonly Row[]): boolean => own.some(({ found }) => found);
  return {
    seeds,
    grades: grades.map((grade) => {
      const own = wrong.filter(([row]) => row!.grade === grade);
      const always = own.filter(isFoundByAll);
      const middle = (of: (row: Row) => number): number | null => median(always.map((each) => median(each.map(of))!));
      return {
        grade,
        mutants: own.length,
        foundByAll: always.length,
        foundByNone: own.filter((each) => !isFound(each)).length,
        secondsMedian: middle(({ seconds }) => seconds),
        hypercallsMedian: middle(({ hypercalls }) => hypercalls),
      };
    }),
    falseAlarms: { of: same.length, count: same.filter(isFound).length },
    sometimes: wrong
      .filter((own) => isFound(own) && !isFoundByAll(own))
      .map((own) => ({
        mutant: own[0]!.mutant,
        found: { of: own.length, count: own.filter(({ found }) => found).length },
      })),
  };
}

/** Null of nothing; of an even number of values the mean of the middle two. */
export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((left, right) => left - right);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function figuresOf(grade: Grade, rows: readonly Row[]): GradeFigures {
  const own = rows.filter((row) => row.grade === grade);
  const found = own.filter((row) => row.found);
  const seconds = found.map((row) => row.seconds);
  return {
    grade,
    found: { of: own.length, count: found.length },
    secondsMedian: median(seconds),
    secondsMax: seconds.length === 0 ? null : Math.max(...seconds),
    hypercallsMedian: median(found.map(({ hypercalls }) => hypercalls)),
  };
}

function isAll(confirmed: string): boolean {
  const [again, times] = confirmed.split('/');
  return again === times && again !== '0';
}
