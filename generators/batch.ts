/**
 * Batches: the unit in which a campaign draws. fast-check folds seeds to 32 bits, so each batch derives one of its own
 * from the campaign's seed text; a case is then named by campaign seed, batch and index.
 */
import { createHash } from 'node:crypto';
import fc from 'fast-check';
import seedrandom from 'seedrandom';
import type { Case } from '../src/case/case.ts';
import { caseArbitrary } from './case.ts';
import { hugePlan } from './machine/huge.ts';
import { neighbourPlan } from './machine/neighbour.ts';
import { drawSwarm, type Swarm } from './swarm.ts';

export interface Batch {
  readonly seed: number;
  readonly swarm: Swarm;
  /** Case `index` is the one that `fc.check` on `batchArbitrary` makes with this seed and `path: String(index)`. */
  readonly cases: Case[];
}

/** Of 2^3 batches, one has concurrent cases: they cost several times as much, and a race that is met once in thousands is missed. */
const concurrentOfBits = 3;
/** Not among the very first: everything behind it waits for a lab of its own to start. */
const firstConcurrent = 5;
/** 2^32 divided by the golden ratio: multiples of it have upper bits that look drawn (Knuth's multiplicative hashing). */
const goldenRatio = 0x9e3779b1;

/**
 * Whether the cases of a batch are concurrent ones. Which of eight it is differs from one eight to the next, so that a
 * shard has its share of them, whatever the number of shards.
 */
export function isConcurrentBatch(batch: number): boolean {
  return batch === drawnOf(batch, concurrentOfBits, firstConcurrent);
}

/**
 * Of 2^8 batches, one has machines of hundreds of vCPUs. It takes as long as a dozen others; a run of a minute comes to
 * the first.
 */
const hugeOfBits = 8;
const firstHuge = 21;

/** Whether some cases of a batch have machines of hundreds of vCPUs. No batch is concurrent as well. */
export function isHugeBatch(batch: number): boolean {
  const drawn = drawnOf(batch, hugeOfBits, firstHuge);
  if (!isConcurrentBatch(drawn)) return batch === drawn;
  const [size, behind] = [1 << hugeOfBits, drawn + 1];
  return batch === (behind % size === 0 ? behind - size : behind);
}

/** Of 2^8 batches, one has second VMs that are gone for more than a second: three or four cases that take 1.2 s each. */
const patientOfBits = 8;
const firstPatient = 26;

/** Whether a batch has second VMs that are long gone; of those that would, the few that are concurrent or huge have none. */
export function isPatientBatch(batch: number): boolean {
  const isDrawn = batch === drawnOf(batch, patientOfBits, firstPatient);
  return isDrawn && !isConcurrentBatch(batch) && !isHugeBatch(batch);
}

/** The batch that is drawn among the 2^bits around one, from `first` on in the first of such groups. */
function drawnOf(batch: number, bits: number, first: number): number {
  const [size, group] = [1 << bits, Math.floor(batch / (1 << bits))];
  return group * size + ((first + (Math.imul(group, goldenRatio) >>> (32 - bits))) % size);
}

/**
 * seedrandom takes the lower byte of each UTF-16 unit alone, so that "Łukasz" would draw what "Aukasz" draws. A text with others
 * stands for its hash; all others draw what they have always drawn.
 */
function textForSeed(campaignSeed: string): string {
  const isTakenWhole = [...campaignSeed].every((letter) => letter.codePointAt(0)! <= 0xff);
  return isTakenWhole ? campaignSeed : createHash('sha256').update(campaignSeed).digest('hex');
}

/** The seed of a batch: 32 bits, signed as fast-check wants it. */
export function batchSeed(campaignSeed: string, batch: number): number {
  return seedrandom(`${textForSeed(campaignSeed)}/${batch}`).int32();
}

/** The arbitrary that a batch draws from, and the seed to draw with; `variant` chooses among the swarms of a batch. */
export function batchArbitrary(
  campaignSeed: string,
  batch: number,
  variant = 0,
): { arbitrary: fc.Arbitrary<Case>; seed: number; swarm: Swarm } {
  const usual = drawSwarm(
    seedrandom(`${textForSeed(campaignSeed)}/${batch}/swarm${variant === 0 ? '' : variant}`).int32(),
  );
  const seed = batchSeed(campaignSeed, batch);
  const swarm = { ...usual, ...specialOf(batch, seed) };
  return { arbitrary: caseArbitrary(swarm), seed, swarm };
}

/** What a batch is for besides what its swarm draws. */
function specialOf(batch: number, seed: number): Partial<Swarm> {
  const one = <T>(plan: fc.Arbitrary<T>): T => fc.sample(plan, { seed, numRuns: 1 })[0]!;
  if (isHugeBatch(batch)) return { platform: null, neighbour: null, isLarge: false, huge: one(hugePlan) };
  if (isPatientBatch(batch)) return { neighbour: one(neighbourPlan), isPatient: true };
  return { isConcurrent: isConcurrentBatch(batch) };
}

/** The first `size` cases of a batch. */
export function drawBatch(campaignSeed: string, batch: number, size: number, variant = 0): Batch {
  const { arbitrary, seed, swarm } = batchArbitrary(campaignSeed, batch, variant);
  return { seed, swarm, cases: fc.sample(arbitrary, { seed, numRuns: size }) };
}
