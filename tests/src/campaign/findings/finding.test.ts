import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCampaign } from '../../../../src/campaign/campaign.ts';
import { type Finding, formatFinding, parseFinding } from '../../../../src/campaign/findings/finding.ts';
import { formatFindingReport } from '../../../../src/campaign/text/report.ts';
import type { Step } from '../../../../src/case/case.ts';
import { loadCases } from '../../../../src/commands/common/case-files.ts';
import { campaignOptions, modelTarget, never } from '../helpers.ts';
import { temporaryFolder } from '../../../temporary-folder.ts';

describe('finding', () => {
  it('should be the same after it was saved and read', async () => {
    const out = temporaryFolder();
    const finding = await findOne(out);
    const text = readFileSync(join(out, `${finding.id}.json`), 'utf8');
    expect(text).toBe(formatFinding(finding));
    expect(parseFinding(JSON.parse(text))).toEqual(finding);
  });

  it('should have what design.md 4 lists', async () => {
    const finding = JSON.parse(formatFinding(await findOne(join(temporaryFolder(), 'my findings')))) as object;
    expect(finding).toMatchObject({
      schema: 'hvipi/finding/1',
      class: 'divergence',
      // Which of the two it is depends on the case that is drawn first.
      signature: expect.stringMatching(/^deliver(-to-all)?\/missing-interrupt$/),
      case: { schema: 'hvipi/case/1', origin: { seed: 'test', kernel: 'model' } },
      expected: { steps: [{ status: 'HV_STATUS_SUCCESS' }] },
      observed: { steps: [{ status: 'HV_STATUS_SUCCESS' }] },
      foundAfter: { cases: expect.any(Number), hypercalls: expect.any(Number), seconds: expect.any(Number) },
      shrink: { seconds: expect.any(Number), executions: expect.any(Number) },
      confirmed: '10/10',
      replay: expect.stringMatching(
        /^npm run -s hvipi -- replay '.*\/my findings\/\w+\.json' --target model:skips-self$/,
      ),
    });
  });

  it('should be reported with rule, source, case, a table per vCPU and the command', async () => {
    const finding = await findOne();
    const text = formatFindingReport(finding);
    for (const part of [
      finding.signature,
      'rule      deliver',
      '"send-ipi',
      'vCPU 0 (VP 0)',
      'IRR 0xfe',
      '<--',
      finding.replay,
    ]) {
      expect(text).toContain(part);
    }
  });

  it('should not be lost when its folder cannot be written', async () => {
    const out = join(temporaryFolder(), 'file');
    writeFileSync(out, '');
    chmodSync(out, 0o400);
    const warnings: string[] = [];
    const saved: boolean[] = [];
    const options = campaignOptions({ out, runs: 4000, warn: (line) => warnings.push(line) });
    const onFinding = (_: Finding, isSaved: boolean): void => void saved.push(isSaved);
    const { findings } = await runCampaign(modelTarget('skips-self'), options, never, { onFinding });
    expect(findings).toHaveLength(1);
    expect(saved).toEqual([false]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain(`cannot save finding ${findings[0]!.id} in ${out}`);
  });

  it('should name the wrong field when it is read', async () => {
    const json = JSON.parse(formatFinding(await findOne())) as Record<string, unknown>;
    expect(() => parseFinding({ ...json, signature: 7 })).toThrow(/^signature: /);
    expect(() => parseFinding({ ...json, case: { ...(json['case'] as object), steps: [] } })).toThrow(/^case\.steps: /);
  });

  it('should be read, and not be run, when its case is one that is refused by now', async () => {
    const finding = await findOne();
    const [first, ...rest] = finding.case.steps;
    const refused = { ...finding, case: { ...finding.case, steps: [{ ...first!, sender: 7 } as Step, ...rest] } };
    const text = formatFinding(refused);
    expect(parseFinding(JSON.parse(text))).toEqual(refused);
    const file = join(temporaryFolder(), 'refused.json');
    writeFileSync(file, text);
    expect(() => loadCases([file])).toThrow(/refused\.json: steps\[0\]\.sender: vCPU 7 is not in the machine/);
  });
});

async function findOne(out = temporaryFolder()): Promise<Finding> {
  const { findings } = await runCampaign(modelTarget('skips-self'), campaignOptions({ out, runs: 4000 }), never);
  return findings[0]!;
}
