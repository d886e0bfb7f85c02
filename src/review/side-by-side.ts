/** Opens two kernels and compares them: the common part of `compare` and `review`. */
import type { Batch } from '../campaign/stream/batches.ts';
import { Session } from '../campaign/target/session.ts';
import { formatCount } from '../campaign/text/table.ts';
import { parseTarget } from '../campaign/target/target.ts';
import { resolveKernel } from '../lab/kernel/kernels.ts';
import type { LabCpu } from '../lab/lab-cpu.ts';
import type { CountedModules } from '../counts/counted-folder.ts';
import { Meter } from '../counts/meter.ts';
import type { Aim } from './aim/aim.ts';
import type { LineCounts } from '../counts/line-counts.ts';
import { type Comparison, type CompareHooks, compareKernels, defaultCompareLimits } from './compare.ts';
import { type OfferDifference, offerDifferences } from './offer/offer-difference.ts';
import { identify, type KernelIdentity } from './kernel-identity.ts';

/** A kernel of the lab and, where given, the folder of its KVM modules. */
export interface Side {
  /** CPU of its lab; default `amd`. */
  readonly cpu?: LabCpu;
  readonly kernel: string;
  readonly kvmModules: string | null;
  /** Those that run instead, the same with counters. */
  readonly counted?: CountedModules | undefined;
}

export interface SideBySideOptions {
  readonly base: Side;
  readonly kernel: Side;
  readonly install: boolean;
  readonly say: (line: string) => void;
  readonly batches: Iterable<Batch>;
  /** Learns from what each batch ran. */
  readonly aim?: Aim;
  readonly seconds: number;
}

export interface SideBySide extends Comparison {
  readonly base: KernelIdentity;
  readonly kernel: KernelIdentity;
  readonly cpu: string;
  /** In what the two differ before a case runs; null where what one of them offers was not read. */
  readonly offers: readonly OfferDifference[] | null;
  /** How often lines of what is touched ran on each; null where the modules do not count. */
  readonly counts: BothCounts | null;
  /** Seconds that the two boots took together. */
  readonly bootSeconds: number;
}

/** @throws UsageError, SkippedError, InfrastructureError when one of the kernels does not come up. */
export async function compareSides(
  options: SideBySideOptions,
  signal: AbortSignal,
  hooks: CompareHooks,
): Promise<SideBySide> {
  // One after the other: the first may download or install what both need.
  await using base = await open(options.base, options, signal);
  await using kernel = await open(options.kernel, options, signal);
  const { batches, seconds } = options;
  const meters = [new Meter(options.base.counted, base), new Meter(options.kernel.counted, kernel)] as const;
  const betweenBatches = betweenBatchesOf(meters, options.aim);
  const comparison = await compareKernels(
    { base, kernel },
    { batches, seconds, limits: defaultCompareLimits },
    signal,
    { ...hooks, betweenBatches },
  );
  const counts = await countsOf(meters);
  return {
    ...comparison,
    base: await identityOf(options.base, base, options),
    kernel: await identityOf(options.kernel, kernel, options),
    cpu: kernel.facts.cpu,
    offers: offersOf(base, kernel),
    counts,
    bootSeconds: base.bootSeconds + kernel.bootSeconds,
  };
}

/** Reads both meters: after each batch for an aim, else now and then. */
export function betweenBatchesOf(meters: Meters, aim: Aim | undefined): NonNullable<CompareHooks['betweenBatches']> {
  return async (batch) => {
    if (aim === undefined) {
      for (const meter of meters) await meter.readSometimes();
      return;
    }
    const [base, kernel] = await Promise.all(meters.map((meter) => meter.readCounters()));
    if (base && kernel) aim.learn(batch, { base, kernel });
  };
}

/** Lines that ran on both kernels. */
interface BothCounts {
  readonly base: LineCounts;
  readonly kernel: LineCounts;
}

/** Of both kernels. */
type Meters = readonly [base: Meter, kernel: Meter];

async function countsOf([base, kernel]: Meters): Promise<BothCounts | null> {
  const [before, after] = await Promise.all([base.readLines(), kernel.readLines()]);
  return before === null || after === null ? null : { base: before, kernel: after };
}

function offersOf(base: Session, kernel: Session): OfferDifference[] | null {
  const [before, after] = [base.facts.offer, kernel.facts.offer];
  return before === undefined || after === undefined ? null : offerDifferences(before, after);
}

async function open(side: Side, options: SideBySideOptions, signal: AbortSignal): Promise<Session> {
  const { install, say } = options;
  const { cpu = 'amd', kernel } = side;
  const kvmModules = side.counted?.folder ?? side.kvmModules;
  const session = await Session.open(
    parseTarget({ target: 'lab', cpu, kernel, kvmModules, install, readsOffer: true, say }),
    signal,
  );
  const modules = kvmModules === null ? '' : ` with ${kvmModules}`;
  say(
    `kernel ${session.facts.kernelRelease}${modules}, ${session.facts.cpu}, booted in ${session.bootSeconds.toFixed(1)} s`,
  );
  return session;
}

async function identityOf(
  side: Side,
  { facts }: Session,
  { install, say }: SideBySideOptions,
): Promise<KernelIdentity> {
  return identify(await resolveKernel(side.kernel, { install, say }), facts.kernelRelease, side.kvmModules);
}

/** Seconds between two lines about how far it is. */
const tellSeconds = 10;

/** Tells each group, and now and then how far it is. */
export function toldTo(say: (line: string) => void): Required<Omit<CompareHooks, 'betweenBatches'>> {
  let told = 0;
  return {
    onGroup: ({ key }) => say(key),
    onBatch: ({ cases, hypercalls, seconds, groups }) => {
      if (seconds - told < tellSeconds) return;
      told = seconds;
      const counts = `${formatCount(cases)} cases | ${formatCount(hypercalls)} hypercalls | differences ${groups}`;
      say(`${seconds.toFixed(0)} s | ${counts}`);
    },
  };
}
