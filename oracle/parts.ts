/** The parts of the model as one value. A mutant replaces one part, so the flow has no special cases for mutants. */
import { type Call, decodeCall } from './call/decode.ts';
import { kvmRules, type Reach, type Rule } from './call/rules.ts';
import { effectiveVpIndexes, selectTargets } from './call/targets.ts';
import { acceptsInterrupts, acceptVector, takeableVectors } from './state/machine.ts';
import { acknowledge, isAutoEoi, type ReceiverParts } from './receivers/receiver.ts';

/** The parts of the model. A part is pure unless its owner says otherwise. */
export interface Model extends ReceiverParts {
  readonly rules: readonly Rule[];
  readonly vpIndexes: typeof effectiveVpIndexes;
  readonly decode: typeof decodeCall;
  /** Positions of the vCPUs that a call reaches, ascending. */
  select(call: Call, reach: Reach, vpIndexes: readonly number[], sender: number): readonly number[];
  readonly accepts: typeof acceptsInterrupts;
  readonly accept: typeof acceptVector;
  /** Handlers that run when these vectors (highest first) are taken. */
  handlersFor(vectors: readonly number[]): readonly number[];
  /** The 64-bit result register of a status. */
  result(status: number): bigint;
}

const resultOfStatus: readonly bigint[] = Array.from({ length: 256 }, (_, status) => BigInt(status));

/** KVM as it is meant to be. */
export const kvmModel: Model = {
  rules: kvmRules,
  vpIndexes: effectiveVpIndexes,
  decode: decodeCall,
  select: selectTargets,
  accepts: acceptsInterrupts,
  accept: acceptVector,
  handlersFor: (vectors) => vectors,
  takeable: takeableVectors,
  acknowledge,
  isAutoEoi,
  result: (status) => resultOfStatus[status]!,
};
