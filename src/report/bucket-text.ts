/** A bucket in words, for the reports that are text. */
import { type Finding, parseFinding } from '../campaign/findings/finding.ts';
import { formatStages } from '../campaign/text/stages.ts';
import { formatCase } from '../case/case.ts';
import { labArguments } from '../lab/lab-arguments.ts';
import type { CampaignValue, ReportBucket } from './value.ts';
import { hvipiCommand } from '../system/own-command.ts';

export interface BucketText {
  readonly finding: Finding;
  /** Canonical text of the smallest case. */
  readonly case: string;
  /** Expected against observed, step by step and vCPU by vCPU. */
  readonly stages: string;
  readonly replay: string;
  /** What the kernel printed, or null. */
  readonly console: string | null;
}

/** The text of a bucket's smallest finding; null when none was saved. */
export function bucketText({ campaign }: CampaignValue, bucket: ReportBucket): BucketText | null {
  if (bucket.finding === null || bucket.file === null) return null;
  const finding = parseFinding(bucket.finding);
  const { contract, kernel, target } = campaign;
  // Written anew: the directory may have been copied or merged since the finding was saved.
  const where = kernel === null ? ['--target', target] : labArguments({ ...campaign, kernel });
  const words = contract === 'kvm' ? [] : ['--contract', contract];
  return {
    finding,
    case: formatCase(finding.case),
    stages: formatStages(finding.case, finding.expected, finding.observed),
    replay: hvipiCommand('replay', bucket.file, ...where, ...words),
    console: finding.console,
  };
}

const kindTexts: Record<ReportBucket['kind'], string> = {
  finding: 'Findings',
  unstable: 'Unstable: seen once, not shown by the case alone',
  known: 'Known findings',
  trouble: 'Deaths of our own agent; no findings',
};

/** Buckets by kind, in the order in which a person wants them. */
export function bucketSections({ buckets }: CampaignValue): { title: string; buckets: ReportBucket[] }[] {
  return Object.entries(kindTexts)
    .map(([kind, title]) => ({ title, buckets: buckets.filter((bucket) => bucket.kind === kind) }))
    .filter((section) => section.buckets.length > 0);
}

/** Buckets that count as findings. */
export function countedBuckets({ buckets }: CampaignValue): ReportBucket[] {
  return buckets.filter(({ kind }) => kind === 'finding' || kind === 'unstable');
}
