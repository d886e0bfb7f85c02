/** Mutants over lives, migration, callers' flags, sizes and races, behind those that were there before. */
import type { Mutant } from '../../mutant.ts';
import { moreCallerFlagMutants } from './caller-flags.ts';
import { moreEquivalentMutants } from './equivalent.ts';
import { moreLivesMutants } from './lives.ts';
import { moreMigrationMutants } from './migration.ts';
import { receiverRaceMutants } from './races-receivers.ts';
import { senderRaceMutants } from './races-senders.ts';
import { vectorRaceMutants } from './races-vectors.ts';
import { moreSizeMutants } from './sizes.ts';

export const crossingMutants: readonly Mutant[] = [
  ...moreLivesMutants,
  ...moreMigrationMutants,
  ...moreCallerFlagMutants,
  ...moreSizeMutants,
  ...vectorRaceMutants,
  ...senderRaceMutants,
  ...receiverRaceMutants,
  ...moreEquivalentMutants,
];
