/** What is measured: rates or times of several rounds, of which the median counts and the spread is told. */

export interface Figure {
  readonly name: string;
  readonly unit: 'calls/s' | 'calls/lab CPU s' | 's' | 'MiB';
  /** One value a round, in the order in which they were measured. */
  readonly rounds: readonly number[];
}

/** Figures of one kind over a number that grows. */
export interface Series {
  readonly title: string;
  readonly points: readonly { readonly at: number; readonly figure: Figure }[];
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[sorted.length >> 1] ?? NaN;
}

/** Rounds that count, after as many that do not: code is compiled and VMs are made in those. */
export const roundCount = 5;
const warmUps = 2;

/** Seconds of a clock that only goes forward. */
export type Clock = () => number;

const wallClock: Clock = () => performance.now() / 1000;
/** CPU time of this process: where nothing but it works, that is what a quiet computer would show. */
export const ownClock: Clock = () => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/** The rate of rounds that each make some calls, by each of some clocks. */
async function ratesBy(clocks: readonly Clock[], round: () => Promise<number> | number): Promise<number[][]> {
  const rates: number[][] = clocks.map(() => []);
  for (let index = 0; index < warmUps + roundCount; index++) {
    const starts = clocks.map((clock) => clock());
    const calls = await round();
    const spans = clocks.map((clock, place) => clock() - starts[place]!);
    if (index >= warmUps) spans.forEach((span, place) => rates[place]!.push(calls / span));
  }
  return rates;
}

/** The rate by the given clock, else by the one on the wall. */
export async function rate(
  name: string,
  round: () => Promise<number> | number,
  clock: Clock = wallClock,
): Promise<Figure> {
  const [rounds] = (await ratesBy([clock], round)) as [number[]];
  return { name, unit: 'calls/s', rounds };
}

/** The rate on the wall, and by the lab's own CPU time, which is what it would be if nobody took the CPU away. */
export async function labRate(
  name: string,
  labClock: Clock,
  round: () => Promise<number> | number,
): Promise<[wall: Figure, cpu: Figure]> {
  const [wall, cpu] = (await ratesBy([wallClock, labClock], round)) as [number[], number[]];
  return [
    { name, unit: 'calls/s', rounds: wall },
    { name, unit: 'calls/lab CPU s', rounds: cpu },
  ];
}

/** How long something takes, in seconds. */
export async function duration(name: string, times: number, once: () => Promise<unknown>): Promise<Figure> {
  const rounds: number[] = [];
  for (let index = 0; index < times; index++) {
    const start = performance.now();
    await once();
    rounds.push((performance.now() - start) / 1000);
  }
  return { name, unit: 's', rounds };
}
