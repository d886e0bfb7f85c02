import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { KnownFinding } from '../../../src/durable/known.ts';
import { type ReportFormatName, reportFormats } from '../../../src/report/formats.ts';
import { escape, html } from '../../../src/report/markup.ts';
import { type CampaignValue, campaignValue } from '../../../src/report/value.ts';
import { InfrastructureError, KernelFailure } from '../../../src/errors.ts';
import { troubledTarget } from '../campaign/helpers.ts';
import { temporaryFolder } from '../../temporary-folder.ts';
import { startIn } from '../durable/helpers.ts';

/** Of one of the divergences, whichever the campaign has. */
const known: Omit<KnownFinding, 'signature'> = {
  class: 'divergence',
  commit: '0123abcd',
  release: '6.12.1',
  why: 'it was <reported>',
};
const folder = temporaryFolder(afterAll);
let value: CampaignValue;

/** A campaign with a finding of each kind: a divergence, a known one, an oops, the death of our agent. */
beforeAll(async () => {
  const oops = new KernelFailure('oops', 'BUG: <kvm> & "co"', 'BUG: <kvm> & "co"\u0007\nRIP: kvm_hv_hypercall\n');
  const target = troubledTarget(
    (model) => (programs, options) => {
      const sizes = new Set(programs.map(({ vcpus }) => vcpus.length));
      if (sizes.has(7)) return Promise.reject(oops);
      if (sizes.has(8)) return Promise.reject(new InfrastructureError('the agent ended with status 137'));
      return model.run(programs, options);
    },
    'clobbers-rbx',
  );
  await startIn(folder, { target, campaign: { runs: 256 } });
  const divergences = campaignValue(folder, []).buckets.filter(({ class: name }) => name === 'divergence');
  value = campaignValue(folder, [{ ...known, signature: divergences.at(-1)!.signature }]);
}, 60_000);

const textOf = (name: ReportFormatName): string => reportFormats[name].format(value);

describe('campaignValue', () => {
  it('should have a bucket of each kind, and count every call once', () => {
    const kinds = Object.fromEntries(value.buckets.map(({ kind, class: name }) => [`${kind} ${name}`, true]));
    expect(kinds).toMatchObject({
      'finding divergence': true,
      'finding oops': true,
      'known divergence': true,
      'trouble hang': true,
    });
    expect(value.cases).toBe(256);
    const ofCall = value.coverage.columns.flatMap(({ dimension }, place) => (dimension === 'call' ? [place] : []));
    const calls = value.coverage.rows.flatMap(({ counts }) => ofCall.map((place) => counts[place]!));
    expect(calls.reduce((sum, count) => sum + count, 0)).toBeLessThanOrEqual(value.hypercalls);
    expect(value.deaths.oops).toBeGreaterThan(1);
    expect(value.missingShards).toEqual([]);
  });
});

describe('reportFormats', () => {
  it('should make a page of HTML that needs nothing else and escapes what comes from outside', () => {
    const text = textOf('html');
    expect(text).toMatch(/^<!doctype html>/);
    expect(text).not.toMatch(/(?:src|href)=|url\(|@import|<script/);
    expect(text).toContain('BUG: &lt;kvm&gt; &amp; &quot;co&quot;');
    expect(text).not.toContain('<kvm>');
    expect(text).toContain('commit 0123abcd, release 6.12.1. it was &lt;reported&gt;');
    expect(text).toMatch(/npm run -s hvipi -- replay \S+\/findings\/\S+\.json --target/);
  });

  it('should make Markdown with every bucket', () => {
    const text = textOf('md');
    for (const { signature } of value.buckets) expect(text).toContain(signature);
  });

  it('should make JSON that is the value', () => {
    expect(JSON.parse(textOf('json'))).toEqual(JSON.parse(JSON.stringify(value)));
  });

  it('should make JUnit XML whose numbers agree with its tests', () => {
    const text = textOf('junit');
    const [, tests, failures, skipped] = /<testsuite name="[^"]*" tests="(\d+)" failures="(\d+)" skipped="(\d+)"/.exec(
      text,
    )!;
    expect(text.split('<testcase ').length - 1).toBe(Number(tests));
    expect(text.split('<failure ').length - 1).toBe(Number(failures));
    expect(text.split('<skipped ').length - 1).toBe(Number(skipped));
    expect(text).not.toContain('\u0007');
  });

  it('should make SARIF with a result for each bucket but our own troubles', () => {
    const { version, runs } = JSON.parse(textOf('sarif'));
    expect(version).toBe('2.1.0');
    const ids = new Set(runs[0].tool.driver.rules.map(({ id }: { id: string }) => id));
    const counted = value.buckets.filter(({ kind }) => kind !== 'trouble');
    expect(runs[0].results).toHaveLength(counted.length);
    for (const { ruleId } of runs[0].results) expect(ids).toContain(ruleId);
    expect(
      runs[0].results.filter(({ suppressions }: { suppressions?: object }) => suppressions !== undefined),
    ).toHaveLength(1);
  });
});

describe('html', () => {
  it('should escape values and join lists of markup', () => {
    expect(html`<p title="${'"'}">${'<'}${[html`<i></i>`, '&']}</p>`.text).toBe(
      '<p title="&quot;">&lt;<i></i>&amp;</p>',
    );
    expect(escape('a\u0000b')).toBe('a?b');
  });
});
