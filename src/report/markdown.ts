/** The report as Markdown, for a mail or a merge request. */
import { basename } from 'node:path';
import { formatCount } from '../campaign/text/table.ts';
import { formatSpan } from '../durable/view/view.ts';
import { bucketSections, bucketText, countedBuckets } from './bucket-text.ts';
import { formatShare } from '../counts/coverage-report.ts';
import type { CampaignValue, ReportBucket } from './value.ts';

export function formatMarkdown(value: CampaignValue): string {
  const { campaign, deaths, rules, coverage } = value;
  const failures = deaths.warning + deaths.oops + deaths.hang;
  const rows = [
    ['target', `${campaign.target}, kernel ${value.kernelRelease ?? 'unknown'}, contract ${campaign.contract}`],
    ['work', `${formatSpan(value.seconds)} in ${value.shards.length} of ${campaign.shards} shards`],
    ['cases', formatCount(value.cases)],
    ['hypercalls', `${formatCount(value.hypercalls)}, ${formatCount(value.hypercallsPerSecond)}/s`],
    ...Object.entries(value.tiers).map(([tier, calls]) => [`calls, ${tier}`, formatCount(calls)]),
    ['rules', `${rules.hit.length} of ${rules.total}`],
    ['coverage', `${coverage.pairs} (rule, dimension) pairs, last grew at ${formatSpan(coverage.grewAt)}`],
    ...(value.kvmLines ?? []).map(({ file, lines, functions }) => [
      basename(file),
      `${formatShare(lines, 'lines')}, ${formatShare(functions, 'functions')} ran`,
    ]),
    ['restarts', `${failures} after failures of the kernel, ${deaths.infrastructure} after failures of our own`],
    ['memory', `${mebibytes(value.memory.firstBytes)} at first, ${mebibytes(value.memory.lastBytes)} at last`],
    ['stream', value.streamHash],
    ['findings', `${countedBuckets(value).length}`],
  ];
  return [
    `# hvipi campaign, seed ${campaign.seed}`,
    '',
    '| | |',
    '| --- | --- |',
    ...rows.map(([name, text]) => `| ${name} | ${cell(text!)} |`),
    ...bucketSections(value).flatMap((section) => [
      '',
      `## ${section.title}`,
      ...section.buckets.flatMap((bucket) => bucketLines(value, bucket)),
    ]),
    '',
  ].join('\n');
}

function bucketLines(value: CampaignValue, bucket: ReportBucket): string[] {
  const text = bucketText(value, bucket);
  const { known } = bucket;
  return [
    '',
    `### ${bucket.class}: ${bucket.signature}`,
    '',
    `${formatCount(bucket.cases)} cases, first seen ${bucket.firstSeen}, last seen ${bucket.lastSeen}, replay ${bucket.replayRate ?? 'not tried'}.`,
    ...(known === null ? [] : ['', `Known: commit ${known.commit}, release ${known.release}. ${known.why}`]),
    ...(text === null
      ? []
      : [...fenced(text.case), ...fenced(text.stages), ...fenced(text.console ?? ''), ...fenced(text.replay)]),
  ];
}

function fenced(text: string): string[] {
  return text === '' ? [] : ['', '```', text.trimEnd(), '```'];
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}

function mebibytes(bytes: number): string {
  return `${formatCount(bytes / 2 ** 20)} MiB`;
}
