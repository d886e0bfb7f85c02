import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Comparable, comparable } from '../../../src/durable/view/comparable.ts';
import { combineJournals } from '../../../src/durable/combine.ts';
import { readFindings, readJournals } from '../../../src/durable/journal/folder.ts';
import { noLimits } from '../../../src/durable/limits.ts';
import { foldJournal } from '../../../src/durable/journal/state.ts';
import { kindsOf } from '../../../src/durable/view/view.ts';
import { InfrastructureError, KernelFailure } from '../../../src/errors.ts';
import { modelTarget, troubledTarget } from '../campaign/helpers.ts';
import { temporaryFolder } from '../../temporary-folder.ts';
import { type CampaignSetup, resumeIn, startIn } from './helpers.ts';

const mutant = 'misses-last-vp';

function combined(folder: string) {
  return combineJournals(folder, readJournals(folder));
}

async function reference(setup: CampaignSetup): Promise<Comparable> {
  const folder = temporaryFolder();
  await startIn(folder, setup);
  return comparable(folder);
}

describe('runDurable', () => {
  it('should run to the end of the stream and note everything', async () => {
    const folder = temporaryFolder();
    expect(await startIn(folder, { target: modelTarget(mutant) })).toBe('runs');
    const { cases, buckets } = combined(folder);
    expect(cases).toBe(576);
    expect(buckets.length).toBeGreaterThan(0);
    for (const { finding, hits, isWhole } of buckets) {
      expect(finding?.confirmed).toBe('10/10');
      expect(isWhole).toBe(true);
      expect(hits).toBeGreaterThan(0);
    }
    expect(readFindings(folder)).toHaveLength(buckets.length);
    expect(readdirSync(join(folder, 'findings')).every((name) => name.endsWith('.json'))).toBe(true);
  });

  it('should come to the same after any number of interruptions', async () => {
    const setup: CampaignSetup = { target: modelTarget(mutant) };
    const folder = temporaryFolder();
    let ending = 'interrupted';
    for (let round = 0; ending === 'interrupted'; round++) {
      const stop = new AbortController();
      let batches = 0;
      const onProgress = (): void => {
        if (++batches === 2) stop.abort();
      };
      const once = { ...setup, options: { onProgress, graceMs: 0 } };
      ending = await (round === 0 ? startIn(folder, once, stop.signal) : resumeIn(folder, once, stop.signal));
    }
    expect(comparable(folder)).toEqual(await reference(setup));
    expect(combined(folder).journals[0]!.opens).toBeGreaterThan(2);
  });

  it.each([
    ['calls', { calls: 1000 }],
    ['findings', { findings: 1 }],
    ['time', { seconds: 0.1 }],
    ['memory', { memoryBytes: 1 }],
    ['disk', { diskBytes: 1 }],
    ['stable', { stableSeconds: 1e-9 }],
  ] as const)('should end at a limit of %s', async (ending, limits) => {
    const options = { limits: { ...noLimits, ...limits } };
    expect(await startIn(temporaryFolder(), { target: modelTarget(mutant), options })).toBe(ending);
  });

  it('should refuse to go on with another kernel', async () => {
    const folder = temporaryFolder();
    const options = { limits: { ...noLimits, calls: 100 } };
    await startIn(folder, { options });
    const other = modelTarget();
    const open: typeof other.open = async (signal) => {
      const executor = await other.open(signal);
      return { ...executor, facts: { ...executor.facts, kernelRelease: '6.13' } };
    };
    await expect(resumeIn(folder, { target: { ...other, open } })).rejects.toThrow(
      /ran on kernel model, and this is 6.13/,
    );
  });
});

describe('runDurable on a target in trouble', () => {
  it('should tell failures of the kernel from failures of our own, and go on', async () => {
    const oops = new KernelFailure('oops', 'BUG: kvm_hv_send_ipi', 'BUG: NULL pointer\nRIP: kvm_hv_send_ipi\n');
    let runs = 0;
    const target = troubledTarget((model) => (programs, options) => {
      runs++;
      // Behind the batches that the first failure of the kernel drops.
      if (runs === 40) return Promise.reject(new InfrastructureError('QEMU ended: killed by SIGKILL'));
      const fails = programs.some(({ vcpus }) => vcpus.length === 5);
      return fails ? Promise.reject(oops) : model.run(programs, options);
    });
    const folder = temporaryFolder();
    const ending = await startIn(folder, { target, campaign: { runs: 256 } });
    const state = foldJournal(readJournals(folder)[0]!.records);
    expect(ending).toBe('runs');
    expect(state.cases).toBe(256);
    const kinds = kindsOf(state, []);
    expect(kinds.get('finding')).toMatchObject([{ class: 'oops', signature: 'BUG: kvm_hv_send_ipi' }]);
    expect(kinds.get('finding')![0]!.hits).toBeGreaterThan(1);
    expect(kinds.get('trouble')).toEqual([]);
    expect(state.deaths.filter(({ kind }) => kind === 'infrastructure')).toHaveLength(1);
    expect(readdirSync(join(folder, 'console'))).toHaveLength(1);
  });

  it('should blame the case that our agent does not survive, and not call it a finding', async () => {
    const target = troubledTarget((model) => (programs, options) => {
      const fails = programs.some(({ vcpus }) => vcpus.length === 5);
      return fails
        ? Promise.reject(new InfrastructureError('the agent ended with status 137'))
        : model.run(programs, options);
    });
    const folder = temporaryFolder();
    await startIn(folder, { target, campaign: { runs: 256 } });
    const state = foldJournal(readJournals(folder)[0]!.records);
    const kinds = kindsOf(state, []);
    expect(kinds.get('finding')).toEqual([]);
    expect(kinds.get('trouble')).toMatchObject([{ signature: 'agent died: the agent ended with status N' }]);
    expect(combined(folder).buckets[0]!.finding!.case.machine.vcpus).toHaveLength(5);
  });

  it('should wait for a target that does not open again', async () => {
    let opened = 0;
    let hasDied = false;
    const model = modelTarget();
    const target: typeof model = {
      ...model,
      open: async (signal) => {
        opened++;
        if (opened === 2 || opened === 3) throw new InfrastructureError('/tmp: no space left on the disk');
        const executor = await model.open(signal);
        const run: typeof executor.run = (programs, options) => {
          if (hasDied) return executor.run(programs, options);
          hasDied = true;
          return Promise.reject(new InfrastructureError('QEMU ended'));
        };
        return { ...executor, run };
      },
    };
    const folder = temporaryFolder();
    const options = { patience: { totalMs: 5000, pauseMs: 1 } };
    expect(await startIn(folder, { target, campaign: { runs: 128 }, options })).toBe('runs');
    const state = foldJournal(readJournals(folder)[0]!.records);
    expect(state.troubles).toMatchObject([{ what: 'open', message: '/tmp: no space left on the disk' }]);
    expect(state.cases).toBe(128);
  });
});
