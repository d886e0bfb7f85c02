/**
 * All mutants, in the order in which they are run. Mutants that came later stand at the end, because every third place is
 * the sample that several seeds measure (`isInThird`).
 */
import type { Mutant } from '../mutant.ts';
import { bankReaderMutants } from './call/bank-reader.ts';
import { callerFlagMutants, moreCallerFlagMutants } from './call/caller-flags.ts';
import { callerMutants } from './call/callers.ts';
import { checkMutants } from './call/checks.ts';
import { decodeMutants } from './call/decode.ts';
import { dispatchMutants } from './call/dispatch.ts';
import { sendIpiExMutants } from './call/send-ipi-ex.ts';
import { sendIpiMutants } from './call/send-ipi.ts';
import { vpIndexMutants } from './call/vp-index.ts';
import { vpSetMutants } from './call/vp-set.ts';
import { runningDeliveryMutants } from './delivery/delivery-running.ts';
import { deliveryMutants } from './delivery/delivery.ts';
import { lapicMutants } from './delivery/lapic.ts';
import { livesMutants, moreLivesMutants } from './delivery/lives.ts';
import { receiverMutants } from './delivery/receivers.ts';
import { runningMutants } from './delivery/running.ts';
import { equivalentMutants, moreEquivalentMutants } from './equivalent.ts';
import { failureMutants } from './failures.ts';
import { receiverRaceMutants } from './races/receivers.ts';
import { senderRaceMutants } from './races/senders.ts';
import { vectorRaceMutants } from './races/vectors.ts';
import { migrationMutants, moreMigrationMutants } from './vm/migration.ts';
import { neighbourMutants } from './vm/neighbours.ts';
import { sizeMutants, moreSizeMutants } from './vm/sizes.ts';

export const catalogue: readonly Mutant[] = [
  ...decodeMutants,
  ...dispatchMutants,
  ...sendIpiMutants,
  ...sendIpiExMutants,
  ...checkMutants,
  ...bankReaderMutants,
  ...vpSetMutants,
  ...deliveryMutants,
  ...vpIndexMutants,
  ...lapicMutants,
  ...migrationMutants,
  ...livesMutants,
  ...callerMutants,
  ...callerFlagMutants,
  ...receiverMutants,
  ...runningDeliveryMutants,
  ...runningMutants,
  ...neighbourMutants,
  ...sizeMutants,
  ...failureMutants,
  ...equivalentMutants,
  ...moreLivesMutants,
  ...moreMigrationMutants,
  ...moreCallerFlagMutants,
  ...moreSizeMutants,
  ...vectorRaceMutants,
  ...senderRaceMutants,
  ...receiverRaceMutants,
  ...moreEquivalentMutants,
];
