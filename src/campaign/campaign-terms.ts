/** The options, hooks and result of a campaign. */
import type { Batch, Place, StreamOptions } from './stream/batches.ts';
import type { DeviationGroup } from './deviation-log.ts';
import type { Finding } from './findings/finding.ts';
import type { ContractName, Judgement, Prepared } from './judgement.ts';
import type { PursuitOptions } from './findings/pursuit.ts';
import type { Session } from './target/session.ts';
import type { Tally } from './tally.ts';

export interface CampaignOptions extends StreamOptions, Omit<PursuitOptions, 'target'> {
  readonly contract: ContractName;
  /** Seconds after the first case at which no further batch starts. */
  readonly seconds: number;
  /** Whether the campaign goes on after a finding. */
  readonly keepGoing: boolean;
  /** The batches, where they are not those that the stream's options give. */
  readonly batches?: Iterable<Batch>;
  /** Whether a suspect runs alone even if its problem is known, so that verdicts do not depend on what came before. */
  readonly probesKnown?: boolean;
  /** How often the target may die; see `Session.open`. */
  readonly restartsMax?: number;
}

/** Told while the campaign runs. */
export interface CampaignHooks {
  readonly onOpen?: (session: Session) => void;
  readonly onCase?: (prepared: Prepared, verdict: string, place: Place, judgement: Judgement) => void;
  /** A batch is judged whole; the campaign waits for what this does. */
  readonly onBatchDone?: (batch: Batch) => void | Promise<void>;
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
