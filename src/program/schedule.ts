/**
 * The schedule of a concurrent case: everything about the order of threads that we can choose. It follows from its seed,
 * so that a race that was met once is met again, as often as the kernel lets it.
 */
import seedrandom from 'seedrandom';
import type { Program } from './program.ts';

export interface Schedule {
  /** Positions of all vCPUs in the order in which their threads start. */
  readonly starts: readonly number[];
  /**
   * For each step, how many rounds its sender spins before it; half of them are 0, 16,384 are some 60 us under TCG. In one
   * schedule of three none is above 63, so that senders that began together stay together.
   */
  readonly spins: readonly number[];
  /**
   * Whether two senders meet before each call: calls that are made at once go the same way, and at the same time where they
   * begin at the same time. Without it they come apart by some 0.1 ms within a few calls.
   */
  readonly meets: boolean;
  /** For each vCPU, whether it raises and lowers its TPR all the time while it spins. */
  readonly flickers: readonly boolean[];
  /** For each step, whether the race that it begins waits until the halted vCPUs are asleep. */
  readonly waitsForSleep: readonly boolean[];
}

const spinBitsMax = 14;
const tightSpinBitsMax = 6;
const tightOneIn = 3;

export function scheduleOf(seed: number, { vcpus, steps }: Program): Schedule {
  const random = seedrandom(String(seed));
  const below = (limit: number): number => Math.floor(random() * limit);
  const positions = vcpus.map((_, position) => ({ position, rank: random() }));
  const spinBits = seed % tightOneIn === 0 ? tightSpinBitsMax : spinBitsMax;
  return {
    starts: positions.sort((left, right) => left.rank - right.rank).map(({ position }) => position),
    flickers: vcpus.map(() => below(4) === 0),
    spins: steps.map(() => (below(2) === 0 ? 0 : below(1 << below(spinBits + 1)))),
    waitsForSleep: steps.map(() => below(4) !== 0),
    meets: below(4) !== 0,
  };
}
