/**
 * Sets of VP numbers, drawn as runs: a single VP, a full bank, one VP in each of many banks. A run starts at any
 * number or at a vCPU of the machine.
 */
import type fc from 'fast-check';
import { bankCountMax, vpsPerBank } from '../../src/abi/hypercall.ts';
import { caseLimits } from '../../src/case/limits.ts';
import { vcpuAt, vcpuNumber, vpNumber, vpNumberEdge } from '../integers.ts';
import { among, choice, evenly, integer, just, list, planOf } from '../plan.ts';
import { oneofFeatures, type Swarm } from '../swarm.ts';

/**
 * `count` VPs, `stride` apart (downwards where it is negative), from `offset` after the VP index of vCPU `vcpu` (as `vcpuAt`
 * has it), or after 0.
 */
export interface RunPlan {
  readonly vcpu: number | null;
  readonly offset: number;
  readonly count: number;
  readonly stride: number;
}

/** Distances to a VP that a wrong shift, bank or bit would hit instead. */
const nearOffsets = [-1, 1, -2, 2, -8, 8, -16, 16, -32, 32, -64, 64, -128, 128, -1024, 1024, -2048, 2048];

/** Bank counts around the limits: XMM registers (11), 1024 VPs (16), a full set (64). */
const edgeBankCounts = [2, 3, 10, 11, 12, 15, 16, 17, 31, 32, 33, 63, 64];

/** Draws sets. */
export function vpSetPlan(swarm: Swarm): fc.Arbitrary<RunPlan[]> {
  const nowhere = just(null);
  const one = just(1);
  const run = oneofFeatures<RunPlan>(swarm, {
    'set.vcpu': runOf(vcpuNumber, just(0), one, one),
    'set.nearVcpu': runOf(vcpuNumber, among(...nearOffsets), one, one),
    'set.edge': runOf(nowhere, vpNumberEdge, one, one),
    'set.uniform': runOf(nowhere, vpNumber, one, one),
    'set.range': runOf(nowhere, vpNumber, rangeCount, among(1, 2, 3)),
    'set.bank': runOf(nowhere, bankStart, bankRunCount, one),
    // About as many banks as the registers of a fast call hold (11), the last of them a vCPU's.
    'set.xmm': runOf(vcpuNumber, just(0), integer(8, 12), just(-vpsPerBank)),
    'set.spread': runOf(
      among(null, 0, 1, 2, 3),
      among(0, 1, 63, 64),
      evenly(among(...edgeBankCounts), integer(2, bankCountMax)),
      among(vpsPerBank, vpsPerBank, vpsPerBank, vpsPerBank + 1, 2 * vpsPerBank),
    ),
  });
  return choice(
    { weight: 1, arbitrary: just<RunPlan[]>([]) },
    { weight: 6, arbitrary: planOf((source) => [source.draw(run)]) },
    { weight: 5, arbitrary: list(run, 2, 6) },
  );
}

const rangeCount = choice(
  { weight: 3, arbitrary: integer(2, 6) },
  { weight: 1, arbitrary: integer(7, vpsPerBank + 2) },
);
const bankStart = among(...Array.from({ length: bankCountMax }, (_, bank) => bank * vpsPerBank));
const bankRunCount = choice(
  { weight: 30, arbitrary: just(vpsPerBank) },
  { weight: 9, arbitrary: just(2 * vpsPerBank) },
  { weight: 1, arbitrary: just<number>(caseLimits.vpNumber) },
);

function runOf(
  vcpu: fc.Arbitrary<number | null>,
  offset: fc.Arbitrary<number>,
  count: fc.Arbitrary<number>,
  stride: fc.Arbitrary<number>,
): fc.Arbitrary<RunPlan> {
  return planOf((source) => ({
    vcpu: source.draw(vcpu),
    offset: source.draw(offset),
    count: source.draw(count),
    stride: source.draw(stride),
  }));
}

/**
 * The VP numbers of a set, ascending: numbers beyond the end of the set wrap around, so that every run says something
 * in a processor mask as well (`end` 64) and one VP in each bank is that from wherever it starts.
 */
export function buildVpSet(plan: readonly RunPlan[], vpIndexes: readonly number[], end: number): number[] {
  const last = end - 1;
  for (const { vcpu, offset, count, stride } of plan) {
    const start = (vcpu === null ? 0 : vpIndexes[vcpuAt(vcpu, vpIndexes.length)]!) + offset;
    for (let step = 0; step < count; step++) {
      // `end` is a power of two, so that this is the remainder, of negative numbers too.
      const number = (start + step * stride) & last;
      bitmap[number >>> 5]! |= 1 << (number & 31);
    }
  }
  let count = 0;
  for (let place = 0; place < end / 32; place++) {
    for (let left = bitmap[place]!; left !== 0; left &= left - 1)
      numbers[count++] = place * 32 + 31 - Math.clz32(left & -left);
    bitmap[place] = 0;
  }
  return numbers.slice(0, count);
}

/** All zero between two sets. A bitmap and not a sorted list: this is the hot spot of drawing, and some sets are large. */
const bitmap = new Uint32Array(caseLimits.vpNumber / 32);
/** Where the numbers of a set are collected: a list that grows has room for many more than the one or two of most. */
const numbers = Array.from({ length: caseLimits.vpNumber }, () => 0);
