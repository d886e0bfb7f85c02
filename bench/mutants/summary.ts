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
  const edits = new Map(catalogue.map((mutant) => [mutant.name, editId(mutant)]));
  const own = rows.filter((row) => row.method === method && edits.get(row.mutant) === row.edit);
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
