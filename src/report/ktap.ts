/** The report as KTAP, the kernel's own dialect of test results (Documentation/dev-tools/ktap.rst). */
import { bucketSections, bucketText, countedBuckets } from './bucket-text.ts';
import { suiteName } from './junit.ts';
import type { CampaignValue, ReportBucket } from './value.ts';

interface Result {
  readonly ok: boolean;
  readonly name: string;
  readonly notes?: readonly string[];
}

export function formatKtap(value: CampaignValue): string {
  const met = new Set(value.rules.hit);
  const failures = countedBuckets(value);
  const others = bucketSections(value).flatMap(({ buckets }) => buckets.filter((bucket) => !failures.includes(bucket)));
  const results: Result[] = [
    ...value.coverage.rows.map(({ rule }) =>
      met.has(rule) ? { ok: true, name: rule } : { ok: true, name: `${rule} # SKIP no call was decided by it` },
    ),
    ...failures.map((bucket) => ({
      ok: false,
      name: `${bucket.class} ${nameOf(bucket)}`,
      notes: notesOf(value, bucket),
    })),
    ...others.map((bucket) => ({ ok: true, name: `${bucket.class} ${nameOf(bucket)} # SKIP ${bucket.kind}` })),
  ];
  const lines = results.flatMap((result, index) => [
    ...(result.notes ?? []).map((line) => `  # ${line}`),
    `  ${result.ok ? 'ok' : 'not ok'} ${index + 1} ${result.name}`,
  ]);
  const verdict = failures.length === 0 ? 'ok' : 'not ok';
  return [
    'KTAP version 1',
    '1..1',
    '  KTAP version 1',
    `  1..${results.length}`,
    ...lines,
    `${verdict} 1 ${suiteName(value)}`,
    '',
  ].join('\n');
}

/** A result's name ends where a `#` would begin a directive. */
function nameOf({ signature }: ReportBucket): string {
  return signature.replaceAll('#', ' ');
}

function notesOf(value: CampaignValue, bucket: ReportBucket): string[] {
  const text = bucketText(value, bucket);
  return text === null ? [] : [...text.stages.trimEnd().split('\n'), text.replay];
}
