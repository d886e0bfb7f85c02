import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { runCampaign } from '../../../src/campaign/campaign.ts';
import type { CampaignHooks } from '../../../src/campaign/campaign-terms.ts';
import { caseAt } from '../../../src/campaign/stream/batches.ts';
import { withJobs } from '../../../src/campaign/target/target.ts';
import { type Case, caseId, formatCase, makeCase, makeStep } from '../../../src/case/case.ts';
import type { Program } from '../../../src/program/program.ts';
import type { Executor } from '../../../src/executor/executor.ts';
import { InfrastructureError, KernelFailure } from '../../../src/errors.ts';
import { campaignOptions, modelTarget, never, troubledTarget } from './helpers.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

const oops = (): KernelFailure => new KernelFailure('oops', 'BUG: kvm_hv_send_ipi', 'BUG: ...');
const isFast = ({ steps }: Program): boolean => steps.some((step) => step.kind === 'call' && step.registers[2]! & 1);

describe('runCampaign', () => {
  it('should give the same stream of cases and verdicts for the same seed', async () => {
    const [first, second] = await Promise.all([run(), run()]);
    expect(first.tally.streamHash).toBe(second.tally.streamHash);
    expect(first.tally.cases).toBe(640);
    const other = await runCampaign(modelTarget(), campaignOptions({ seed: 'other' }), never);
    expect(other.tally.streamHash).not.toBe(first.tally.streamHash);
  });

  it('should give the same stream however fast the target answers', async () => {
    const slow = troubledTarget((model) => async (programs, options) => {
      await new Promise((resolve) => setTimeout(resolve, Math.floor(programs[0]!.steps.length)));
      return model.run(programs, options);
    });
    const result = await runCampaign(slow, campaignOptions(), never);
    expect(result.tally.streamHash).toBe((await run()).tally.streamHash);
  });

  it('should give the same stream with several executors, findings included', async () => {
    const options = { keepGoing: true, runs: 320 };
    const [alone, shared] = await Promise.all(
      [1, 3].map((jobs) =>
        runCampaign(withJobs(modelTarget('xmm-half-swapped'), jobs), campaignOptions(options), never),
      ),
    );
    expect(alone!.findings.length).toBeGreaterThan(0);
    expect(shared!.tally.streamHash).toBe(alone!.tally.streamHash);
    expect(shared!.findings.map(({ signature }) => signature)).toEqual(alone!.findings.map((one) => one.signature));
  });

  it('should go on with a later batch where the whole stream would be', async () => {
    const whole = await idsOf(0, 256);
    const rest = await idsOf(9, 256 - 8 * 8 - 16);
    expect(rest).toEqual(whole.slice(8 * 8 + 16));
  });

  it('should run exactly as many generated cases as asked for, and the corpus first', async () => {
    const value = makeCase([{ vpIndex: 3 }], [makeStep({ do: 'send-ipi', targets: [3] })]);
    const ids: string[] = [];
    const options = campaignOptions({ runs: 100, corpus: [{ file: 'corpus/send-ipi-one.json', value }] });
    const result = await runCampaign(modelTarget(), options, never, {
      onCase: ({ value: each }) => ids.push(caseId(each)),
    });
    expect(ids[0]).toBe(caseId(value));
    expect(ids.length).toBe(101);
    expect(result).toMatchObject({ ending: 'budget', nextBatch: 11, tally: { cases: 101, corpusCases: 1 } });
  });

  it('should keep four batches on their way', async () => {
    let underWay = 0;
    let most = 0;
    const target = troubledTarget((model) => async (programs, options) => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setTimeout(resolve, 1));
      underWay--;
      return model.run(programs, options);
    });
    await runCampaign(target, campaignOptions(), never);
    expect(most).toBe(4);
  });

  it('should stop at the first finding, in order, and save it', async () => {
    const out = temporaryFolder();
    const result = await runCampaign(modelTarget('misses-last-vp'), campaignOptions({ out, runs: 4000 }), never);
    expect(result.ending).toBe('finding');
    expect(result.findings).toHaveLength(1);
    expect(result.tally.cases).toBe(result.findings[0]!.foundAfter.cases);
    expect(readdirSync(out)).toEqual([`${result.findings[0]!.id}.json`]);
  });

  it('should keep going to one finding per signature', async () => {
    const options = campaignOptions({ keepGoing: true, runs: 320 });
    const { findings, tally, ending } = await runCampaign(modelTarget('clobbers-rbx'), options, never);
    const signatures = findings.map(({ signature }) => signature);
    expect(signatures.length).toBeGreaterThan(2);
    expect(new Set(signatures).size).toBe(signatures.length);
    expect(tally).toMatchObject({ cases: 320 });
    expect(tally.repeats).toBeGreaterThan(0);
    expect(ending).toBe('budget');
  });

  it('should tell a difference that the case alone does not show from a finding', async () => {
    let batches = 0;
    const target = troubledTarget((model) => async (programs, options) => {
      const observations = await model.run(programs, options);
      if (options.exact || ++batches !== 2) return observations;
      return observations.with(5, { ...observations[5]!, stopped: 'exit 17' });
    });
    const result = await runCampaign(target, campaignOptions(), never);
    expect(result.ending).toBe('budget');
    expect(result.findings).toMatchObject([{ stable: false, class: 'divergence', path: '1:5' }]);
    expect(result.findings[0]!.batch).toHaveLength(6);
  });

  it('should go on behind a program that was stopped, which ends its batch', async () => {
    const target = troubledTarget((model) => async (programs, options) => {
      const observations = await model.run(programs, options);
      const stuck = programs.findIndex(isFast);
      if (stuck === -1) return observations;
      const stopped = { ...observations[stuck]!, steps: [], lapics: [], stopped: 'no exit from KVM_RUN' };
      return [...observations.slice(0, stuck), stopped];
    });
    const places: string[] = [];
    const onCase: CampaignHooks['onCase'] = (_prepared, _verdict, { path }) => places.push(path);

    const { findings, tally } = await runCampaign(target, campaignOptions({ runs: 24, keepGoing: true }), never, {
      onCase,
    });

    expect(places).toEqual([0, 1, 2].flatMap((batch) => [0, 1, 2, 3, 4, 5, 6, 7].map((index) => `${batch}:${index}`)));
    expect(tally.cases).toBe(24);
    expect(findings.length).toBeGreaterThan(0);
    expect(findings.every(({ stable, signature }) => stable && signature.endsWith('/stopped'))).toBe(true);
  });

  it('should take fewer observations than programs for a broken agent where nothing was stopped', async () => {
    const target = troubledTarget((model) => async (programs, options) => {
      const observations = await model.run(programs, options);
      return options.exact ? observations : observations.slice(1);
    });
    const { ending, error } = await runCampaign(target, campaignOptions(), never);
    expect({ ending, error }).toEqual({ ending: 'infrastructure', error: '7 observations for 8 programs' });
  });

  it('should find the one program of a batch that writes memory', async () => {
    const { findings } = await runCampaign(modelTarget('writes-guest-memory'), campaignOptions(), never);
    expect(findings).toMatchObject([{ stable: true, signature: 'program/memory', confirmed: '10/10' }]);
  });

  it('should abandon the batch and say where to go on when it is interrupted', async () => {
    const stop = new AbortController();
    const target = troubledTarget((model) => async (programs, options) => model.run(programs, options));
    const onBatch = (): void => stop.abort();
    const result = await runCampaign(target, campaignOptions({ runs: Infinity }), stop.signal, { onBatch });
    expect(result).toMatchObject({ ending: 'interrupted', nextBatch: 1, findings: [] });
  });
});

describe('runCampaign while it shrinks', () => {
  it('should save what it has when it is interrupted', async () => {
    const stop = new AbortController();
    let exactRuns = 0;
    const target = troubledTarget(
      (model) => (programs, options) => {
        if (options.exact && ++exactRuns === 8) stop.abort();
        return model.run(programs, options);
      },
      'skips-self',
    );
    const out = temporaryFolder();
    const { findings, ending } = await runCampaign(target, campaignOptions({ out, runs: 4000 }), stop.signal);
    expect(ending).toBe('interrupted');
    expect(findings).toMatchObject([{ class: 'divergence', confirmed: '0/10' }]);
    expect(readdirSync(out)).toEqual([`${findings[0]!.id}.json`]);
  });
});

describe('runCampaign on a kernel that fails', () => {
  it('should isolate the case, shrink it and confirm it', async () => {
    const target = troubledTarget(failing((program) => isFast(program) && program.vcpus.length > 2, oops));
    const { findings, ending, restarts } = await runCampaign(target, campaignOptions(), never);
    expect(ending).toBe('finding');
    expect(findings).toMatchObject([
      { class: 'oops', signature: 'BUG: kvm_hv_send_ipi', stable: true, confirmed: '3/3' },
    ]);
    expect(findings[0]!.case.machine.vcpus).toHaveLength(3);
    expect(findings[0]!.case.steps).toHaveLength(1);
    expect(findings[0]!.observed).toBeNull();
    expect(restarts).toBeLessThan(40);
  });

  it('should keep the cases of a failure that does not show again', async () => {
    let isFirst = true;
    const target = troubledTarget((model) => (programs, options) => {
      const fails = isFirst;
      isFirst = false;
      return fails ? Promise.reject(oops()) : model.run(programs, options);
    });
    const { findings, ending, tally, restarts } = await runCampaign(target, campaignOptions(), never);
    expect(findings).toMatchObject([{ class: 'oops', stable: false }]);
    // Four batches were on their way.
    expect(findings[0]!.batch).toHaveLength(32);
    expect({ ending, cases: tally.cases, restarts }).toEqual({ ending: 'budget', cases: 640, restarts: 1 });
    expect(tally.streamHash).toBe((await run()).tally.streamHash);
  });

  it('should repeat the batch of an agent that died, and only count that', async () => {
    let calls = 0;
    const target = troubledTarget(
      (model) => (programs, options) =>
        ++calls === 3 ? Promise.reject(new InfrastructureError('the agent is gone')) : model.run(programs, options),
    );
    const { findings, restarts, tally, ending } = await runCampaign(target, campaignOptions(), never);
    expect({ findings, restarts, ending }).toEqual({ findings: [], restarts: 1, ending: 'budget' });
    expect(tally.streamHash).toBe((await run()).tally.streamHash);
  });

  it('should take a case that kills the agent twice for a finding', async () => {
    const target = troubledTarget(failing(isFast, () => new InfrastructureError('the agent ended with 139')));
    const { findings, ending } = await runCampaign(target, campaignOptions(), never);
    expect(ending).toBe('finding');
    expect(findings).toMatchObject([{ class: 'hang', signature: 'agent died: the agent ended with N' }]);
  });

  it('should end with what it has when the target does not come back', async () => {
    const target = troubledTarget(
      (model, open) => (programs, options) =>
        open > 0 && programs.length > 0
          ? Promise.reject(new InfrastructureError('no disk'))
          : model.run(programs, options),
    );
    const open = target.open.bind(target);
    let opened = 0;
    const dead = {
      ...target,
      open: (signal: AbortSignal): Promise<Executor> =>
        ++opened > 1 ? Promise.reject(new InfrastructureError('qemu: no memory')) : open(signal),
    };
    const result = await runCampaign(dead, campaignOptions(), never);
    expect(result).toMatchObject({ ending: 'infrastructure', error: 'qemu: no memory', findings: [] });
  });
});

describe('caseAt', () => {
  it('should draw what the campaign ran', async () => {
    const cases = new Map<string, string>();
    await runCampaign(modelTarget(), campaignOptions({ runs: 128 }), never, {
      onCase: ({ value }, _, { path }) => cases.set(path, formatCase(value)),
    });
    expect(formatCase(caseAt('test', { batch: 1, index: 7 }))).toBe(cases.get('1:7'));
  });
});

function run(): ReturnType<typeof runCampaign> {
  return runCampaign(modelTarget(), campaignOptions(), never);
}

async function idsOf(fromBatch: number, runs: number): Promise<string[]> {
  const ids: string[] = [];
  const onCase = ({ value }: { value: Case }): void => void ids.push(caseId(value));
  await runCampaign(modelTarget(), campaignOptions({ fromBatch, runs }), never, { onCase });
  return ids;
}

/** An executor that dies of certain programs, wherever in a batch they stand. */
function failing(isDeadly: (program: Program) => boolean, error: () => Error) {
  return (model: Executor): Executor['run'] =>
    (programs, options) =>
      programs.some(isDeadly) ? Promise.reject(error()) : model.run(programs, options);
}
