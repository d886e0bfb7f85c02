/** What a campaign is given and what it gives. */
import type { Place, StreamOptions } from './batches.ts';
import type { DeviationGroup } from './deviation-log.ts';
import type { Finding } from './finding.ts';
import type { ContractName, Prepared } from './judgement.ts';
import type { PursuitOptions } from './pursuit.ts';
import type { Session } from './session.ts';
import type { Tally } from './tally.ts';

export interface CampaignOptions extends StreamOptions, Omit<PursuitOptions, 'target'> {
  readonly contract: ContractName;
  /** Seconds after the first case at which no further batch starts. */
  readonly seconds: number;
  /** Whether the campaign goes on after a finding. */
  readonly keepGoing: boolean;
}

/** Told while the campaign runs. */
export interface CampaignHooks {
  readonly onOpen?: (session: Session) => void;
  readonly onCase?: (prepared: Prepared, verdict: string, place: Place) => void;
  readonly onBatch?: (tally: Tally, findings: readonly Finding[]) => void;
  /** `isSaved` is false when the file could not be written. */
  readonly onFinding?: (finding: Finding, isSaved: boolean) => void;
}

/** Why a campaign ended. */
export type Ending = 'budget' | 'finding' | 'interrupted' | 'infrastructure';

export interface CampaignResult {
  readonly ending: Ending;
  /** What failed, when infrastructure did. */
  readonly error: string | null;
  readonly tally: Tally;
  /** Seconds from the first case to the end. */
  readonly seconds: number;
  readonly findings: readonly Finding[];
  /** Listed deviations from TLFS that were met; none under the `kvm` contract. */
  readonly deviations: readonly DeviationGroup[];
  /** The first batch that was not judged whole. */
  readonly nextBatch: number;
  readonly facts: Session['facts'];
  readonly bootSeconds: number;
  readonly restarts: number;
}
