/** Ways to make the address of an input block simpler. */
import { maxOf } from '../abi/layout.ts';
import type { Case } from '../case/case.ts';
import { between, callsOf, withCall } from './edits.ts';
import { arenaStart, isAllowedGpa } from '../case/memory.ts';

/** Eight bytes before the first page of the arena ends: a block across two pages that is aligned all the same. */
const pageCrossing = arenaStart + 0x1000n - 8n;

/** Aligned addresses first, then the same place in the first page of the arena, then lower ones. */
export function* plainerAddresses(value: Case): Generator<Case> {
  for (const [index, { gpa }] of callsOf(value)) {
    if (gpa === null) continue;
    for (const other of addressesBelow(gpa)) {
      if (isAllowedGpa(other) && other <= maxOf(64)) yield withCall(value, index, (call) => ({ ...call, gpa: other }));
    }
  }
}

function* addressesBelow(gpa: bigint): Generator<bigint> {
  yield* [pageCrossing, aligned(gpa), aligned(gpa + 7n), arenaStart + (gpa & 0xfffn)];
  for (const lower of between(gpa, arenaStart)) yield* [aligned(lower), lower];
}

const aligned = (gpa: bigint): bigint => gpa & ~7n;
