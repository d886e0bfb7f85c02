/** Campaigns on directories for tests: on the model, through the same store as the command line. */
import { corpusHashOf } from '../../../src/durable/identity.ts';
import { readJournals } from '../../../src/durable/journal/folder.ts';
import { noLimits } from '../../../src/durable/limits.ts';
import type { CampaignIdentity, EndingName } from '../../../src/durable/journal/record.ts';
import { type DurableOptions, runDurable } from '../../../src/durable/run.ts';
import { Store } from '../../../src/durable/journal/store.ts';
import { defaultShrinkLimits } from '../../../src/campaign/findings/shrink.ts';
import type { Target } from '../../../src/campaign/target/target.ts';
import { modelTarget, never } from '../campaign/helpers.ts';

export interface CampaignSetup {
  readonly target?: Target;
  readonly campaign?: Partial<CampaignIdentity>;
  readonly options?: Partial<DurableOptions>;
  readonly run?: string;
}

export function identity(changes: Partial<CampaignIdentity> = {}): CampaignIdentity {
  return {
    seed: 'durable',
    contract: 'kvm',
    target: 'model',
    cpu: 'amd',
    kernel: null,
    kvmModules: null,
    kvmModulesHash: null,
    kvmOptions: null,
    corpusHash: corpusHashOf([]),
    runs: 576,
    shard: { index: 0, count: 1 },
    ...changes,
  };
}

/** Starts a campaign in a new directory and runs it to its end. */
export async function startIn(folder: string, setup: CampaignSetup = {}, signal = never): Promise<EndingName> {
  const where = { folder, say: () => undefined };
  using store = await Store.create(where, setup.run ?? '0123456789ab', identity(setup.campaign), noLimits);
  return await runIn(store, setup, signal);
}

/** Goes on in a directory. */
export async function resumeIn(folder: string, setup: CampaignSetup = {}, signal = never): Promise<EndingName> {
  const [journal] = readJournals(folder);
  using store = await Store.resume({ folder, say: () => undefined }, journal!);
  return await runIn(store, setup, signal);
}

function runIn(
  store: Store,
  { target = modelTarget(), options = {} }: CampaignSetup,
  signal: AbortSignal,
): Promise<EndingName> {
  return runDurable(
    {
      store,
      tornBytes: 0,
      target,
      corpus: [],
      limits: noLimits,
      known: [],
      shrink: defaultShrinkLimits,
      say: () => undefined,
      onProgress: () => undefined,
      onFinding: () => undefined,
      ...options,
    },
    signal,
  );
}
