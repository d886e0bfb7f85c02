/** Targets and options for tests of campaigns: the model, with trouble added where a test wants some. */
import type { CampaignOptions } from '../../../src/campaign/campaign-terms.ts';
import { defaultShrinkLimits } from '../../../src/campaign/findings/shrink.ts';
import { parseTarget, type Target } from '../../../src/campaign/target/target.ts';
import type { Executor } from '../../../src/executor/executor.ts';
import { openModelExecutor } from '../../../src/model/model-executor.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

export const never = new AbortController().signal;

export function modelTarget(mutant?: string): Target {
  const target = mutant === undefined ? 'model' : `model:${mutant}`;
  return parseTarget({ target, kernel: 'debian:6.12', kvmModules: null, install: false, say: () => undefined });
}

/** A target whose executors are the model's with another `run`; `open` counts from 1. */
export function troubledTarget(run: (model: Executor, open: number) => Executor['run'], mutant?: string): Target {
  let opened = 0;
  const open = (): Promise<Executor> => {
    const model = openModelExecutor(mutant);
    opened++;
    return Promise.resolve({
      facts: model.facts,
      run: run(model, opened),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  };
  return { name: 'troubled', replayArguments: [], open };
}

export function campaignOptions(changes: Partial<CampaignOptions> = {}): CampaignOptions {
  return {
    contract: 'kvm',
    seed: 'test',
    fromBatch: 0,
    corpus: [],
    spaces: [],
    runs: 640,
    seconds: Infinity,
    keepGoing: false,
    out: temporaryFolder(),
    shrink: defaultShrinkLimits,
    warn: () => undefined,
    ...changes,
  };
}
