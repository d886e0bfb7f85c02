/** All mutants, in the order in which they are run. */
import type { Mutant } from '../mutant.ts';
import { bankReaderMutants } from './bank-reader.ts';
import { callerFlagMutants } from './caller-flags.ts';
import { callerMutants } from './callers.ts';
import { checkMutants } from './checks.ts';
import { crossingMutants } from './crossings/crossings.ts';
import { decodeMutants } from './decode.ts';
import { deliveryMutants } from './delivery.ts';
import { runningDeliveryMutants } from './delivery-running.ts';
import { dispatchMutants } from './dispatch.ts';
import { equivalentMutants } from './equivalent.ts';
import { failureMutants } from './failures.ts';
import { lapicMutants } from './lapic.ts';
import { livesMutants } from './lives.ts';
import { migrationMutants } from './migration.ts';
import { neighbourMutants } from './neighbours.ts';
import { receiverMutants } from './receivers.ts';
import { runningMutants } from './running.ts';
import { sendIpiExMutants } from './send-ipi-ex.ts';
import { sendIpiMutants } from './send-ipi.ts';
import { sizeMutants } from './sizes.ts';
import { vpIndexMutants } from './vp-index.ts';
import { vpSetMutants } from './vp-set.ts';

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
  ...crossingMutants,
];
