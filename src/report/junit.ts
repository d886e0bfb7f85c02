/** The report as JUnit XML: a test for each rule of the model, and one that fails for each finding. */
import { bucketSections, bucketText, countedBuckets } from './bucket-text.ts';
import { escape } from './markup.ts';
import type { CampaignValue, ReportBucket } from './value.ts';

export function formatJunit(value: CampaignValue): string {
  const failures = countedBuckets(value);
  const others = bucketSections(value).flatMap(({ buckets }) => buckets.filter((bucket) => !failures.includes(bucket)));
  const { rows } = value.coverage;
  const met = new Set(value.rules.hit);
  const skipped = rows.filter(({ rule }) => !met.has(rule)).length + others.length;
  const tests = rows.length + failures.length + others.length;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites tests="${tests}" failures="${failures.length}" skipped="${skipped}" time="${value.seconds.toFixed(3)}">`,
    `<testsuite name="${escape(suiteName(value))}" tests="${tests}" failures="${failures.length}" skipped="${skipped}" errors="0" time="${value.seconds.toFixed(3)}">`,
    ...rows.map(({ rule }) => {
      const body = met.has(rule) ? '' : '<skipped message="no call was decided by this rule"/>';
      return `<testcase classname="rule" name="${escape(rule)}">${body}</testcase>`;
    }),
    ...failures.map((bucket) => failedCase(value, bucket)),
    ...others.map(({ kind, signature }) => {
      return `<testcase classname="${kind}" name="${escape(signature)}"><skipped message="${kind}"/></testcase>`;
    }),
    '</testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

/** What was tested, in a line. */
export function suiteName({ campaign, kernelRelease }: CampaignValue): string {
  return `hvipi ${campaign.target} ${kernelRelease ?? ''} seed ${campaign.seed}`;
}

function failedCase(value: CampaignValue, bucket: ReportBucket): string {
  const text = bucketText(value, bucket);
  const body = text === null ? '' : [text.case, text.stages, text.console ?? '', text.replay].join('\n');
  const name = `${bucket.signature}${bucket.kind === 'unstable' ? ' (unstable)' : ''}`;
  return `<testcase classname="${bucket.class}" name="${escape(name)}"><failure type="${bucket.class}" message="${escape(bucket.signature)}">${escape(body)}</failure></testcase>`;
}
