import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCampaign } from '../../../src/campaign/campaign.ts';
import { judgeObservation, prepare } from '../../../src/campaign/judgement.ts';
import { formatCase, makeCase, makeStep, parseCase } from '../../../src/case/case.ts';
import { modelFacts, observationOf } from '../../../src/model/model-executor.ts';
import { deviations } from '../../../oracle/tlfs/deviations.ts';
import { judgeByTlfs } from '../../../oracle/tlfs/tlfs.ts';
import { campaignOptions, modelTarget, never } from './helpers.ts';

const folder = join(import.meta.dirname, '..', '..', '..', 'corpus', 'known');
const tlfs = { contract: 'tlfs', seed: 'deviations' } as const;

/** Which of the two it is depends on the case that is drawn first. */
const missingInterrupt = /^deliver(-to-all)?\/missing-interrupt$/;

describe('runCampaign under the tlfs contract', () => {
  it('should find every deviation of a KVM like 6.12 from nothing and shrink it to its known case', async () => {
    const result = await runCampaign(modelTarget(), campaignOptions({ ...tlfs, runs: 4000 }), never);
    expect(result).toMatchObject({ findings: [], ending: 'budget', tally: { cases: 4000, repeats: 0 } });
    const found = result.deviations.map((group) => ({
      name: group.deviation.name,
      text: formatCase(group.case),
      confirmed: group.confirmed,
    }));
    const expected = deviations
      .filter(({ kvmMaxVcpus }) => kvmMaxVcpus === null)
      .map(({ name }) => {
        const value = parseCase(readFileSync(join(folder, `${name}.json`), 'utf8'));
        return { name, text: formatCase({ ...value, why: '' }), confirmed: '10/10' };
      });
    expect(found).toEqual(expected);
  });

  it('should report a divergence from the model as one', async () => {
    const options = campaignOptions({ ...tlfs, runs: 2000 });
    const { findings, ending } = await runCampaign(modelTarget('skips-self'), options, never);
    expect(ending).toBe('finding');
    expect(findings).toMatchObject([{ class: 'divergence', confirmed: '10/10' }]);
    expect(findings[0]!.signature).toMatch(missingInterrupt);
  });

  it('should note nothing under the kvm contract', async () => {
    const { deviations: groups } = await runCampaign(modelTarget(), campaignOptions({ runs: 200 }), never);
    expect(groups).toEqual([]);
  });
});

describe('judgeObservation under the tlfs contract', () => {
  const value = makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi', fast: true, vector: 0x0f, targets: [0] })]);

  it('should name the listed deviations', () => {
    const prepared = prepare(value, modelFacts, 'tlfs');
    const observation = observationOf(prepared.outcome, { exact: true });
    expect(judgeObservation(prepared, observation)).toEqual({
      class: 'deviation',
      names: ['bad-vector-status'],
      signature: 'bad-vector-status',
    });
  });

  it('should take what is not listed for a divergence', () => {
    const { program, outcome } = prepare(value, modelFacts);
    const accepted = { ...outcome, steps: outcome.steps.map((step) => ({ ...step, result: 0n, receivers: [0] })) };
    const prepared = { value, program, outcome: accepted, tlfs: judgeByTlfs(program, accepted, modelFacts) };
    expect(judgeObservation(prepared, observationOf(accepted, { exact: true }))).toMatchObject({
      class: 'divergence',
      signature: 'tlfs:vector-out-of-range/accepted by bad-vector',
      differences: [
        {
          step: 0,
          what: 'TLFS',
          expected: 'HV_STATUS_INVALID_PARAMETER (5) or #UD (vector 6)',
          observed: 'HV_STATUS_SUCCESS (0), received by vCPU 0',
        },
      ],
    });
  });
});
