/**
 * A campaign on a directory: the loop of `fuzz`, with every batch, problem and death noted in the journal, until a
 * limit is reached or somebody asks to stop.
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import { runCampaign } from '../campaign/campaign.ts';
import type { CampaignHooks, CampaignResult } from '../campaign/campaign-terms.ts';
import type { CorpusEntry } from '../campaign/corpus.ts';
import { type Finding, formatFinding } from '../campaign/findings/finding.ts';
import { Interrupted } from '../campaign/interrupt.ts';
import { isProblem } from '../campaign/judgement.ts';
import { rounded } from '../campaign/findings/pursuit.ts';
import type { Session } from '../campaign/target/session.ts';
import type { ShrinkLimits } from '../campaign/findings/shrink.ts';
import type { Target } from '../campaign/target/target.ts';
import { type InfrastructureError, KernelFailure } from '../errors.ts';
import { UsageError } from '../errors.ts';
import { bucketId, type BucketKey, bucketKind } from './bucket.ts';
import { findingName } from './journal/folder.ts';
import { findKnown, type KnownFinding } from './known.ts';
import { folderBytes, reachedLimit } from './limits.ts';
import { type Patience, patientTarget } from './patient-target.ts';
import type { EndingName, Limits } from './journal/record.ts';
import { Span } from './journal/span.ts';
import type { Store } from './journal/store.ts';
import { type PlacedBatch, type Position, shardBatches } from './journal/stream.ts';
import { hvipiCommand } from '../system/own-command.ts';
import type { Trace } from '../counts/lcov.ts';

export interface DurableOptions {
  readonly store: Store;
  /** Bytes that were cut off the journal when it was opened. */
  readonly tornBytes: number;
  readonly target: Target;
  readonly corpus: readonly CorpusEntry[];
  readonly limits: Limits;
  readonly known: readonly KnownFinding[];
  readonly shrink: ShrinkLimits;
  readonly say: (line: string) => void;
  /** Told after every batch. */
  readonly onProgress: (live: Live) => void;
  readonly onFinding: (finding: Finding) => void;
  /** Counts which lines of KVM run; null where the modules do not. */
  readonly lines?: LineCounter | null;
  readonly patience?: Patience;
  /** How long work under way may go on after the signal; less than the 30 s that clusters give. */
  readonly graceMs?: number;
}

/** What counts lines, and is told when it may look. */
export interface LineCounter {
  begin(session: Session): void;
  readSometimes(): Promise<void>;
  trace(): Promise<Trace | null>;
}

/** What has happened since the last line of the journal. */
export interface Live {
  /** Seconds of work in all. */
  readonly seconds: number;
  readonly hypercalls: number;
  readonly cases: number;
}

const graceMsDefault = 10_000;
/** Seconds between two spans: short at first, so that little is lost, then longer, so that the journal stays small. */
const spanSeconds = { min: 1, max: 30, shareOfAge: 0.05 };
/** Looking at all files of a directory takes a while. */
const diskCheckSeconds = 10;

/**
 * Runs until the campaign ends; the journal has its end then.
 *
 * @throws SkippedError, InfrastructureError when the target does not open at all; UsageError when its kernel is not
 * the one that the campaign began on.
 */
export async function runDurable(options: DurableOptions, signal: AbortSignal): Promise<EndingName> {
  const campaign = new DurableCampaign(options, signal);
  return campaign.run();
}

class DurableCampaign {
  readonly #options: DurableOptions;
  readonly #store: Store;
  readonly #signal: AbortSignal;
  /** Ends what is under way when the grace after `#signal` is over. */
  readonly #hard = new AbortController();
  readonly #secondsBefore: number;
  #span = new Span();
  #position: Position;
  #spanAt: number;
  #startedAt: number | null = null;
  /** Of processes before this one. */
  #before = { hypercalls: 0, cases: 0 };
  #hypercalls = 0;
  #ending: EndingName | null = null;
  #disk = { bytes: 0, at: -Infinity };

  constructor(options: DurableOptions, signal: AbortSignal) {
    this.#options = options;
    this.#store = options.store;
    this.#signal = signal;
    const { seconds, nextCorpus, nextBatch } = options.store.state;
    this.#secondsBefore = seconds;
    this.#spanAt = seconds;
    this.#position = { nextCorpus, nextBatch };
  }

  async run(): Promise<EndingName> {
    const { graceMs = graceMsDefault } = this.#options;
    let timer: NodeJS.Timeout | undefined;
    const onAbort = (): void => {
      timer = setTimeout(() => this.#hard.abort(), graceMs);
    };
    if (this.#signal.aborted) throw new Interrupted('interrupted');
    this.#signal.addEventListener('abort', onAbort);
    try {
      return await this.#end(await this.#runCampaign());
    } finally {
      this.#signal.removeEventListener('abort', onAbort);
      clearTimeout(timer);
    }
  }

  #runCampaign(): Promise<CampaignResult> {
    const { target, corpus, shrink, say, patience } = this.#options;
    const { campaign, buckets } = this.#store.state;
    const events = {
      onDeath: (error: KernelFailure | InfrastructureError) => this.#onDeath(error),
      onOpenFailed: (message: string) => {
        say(`${message}; trying again`);
        this.#store.append({ type: 'trouble', what: 'open', message });
      },
    };
    const batches = shardBatches({
      seed: campaign.seed,
      shard: campaign.shard,
      from: this.#position,
      corpus,
      runs: campaign.runs ?? Infinity,
      shouldEnd: () => this.#shouldEnd(),
    });
    return runCampaign(
      patientTarget(target, events, patience),
      {
        contract: campaign.contract,
        seed: campaign.seed,
        fromBatch: this.#position.nextBatch,
        corpus: [],
        runs: Infinity,
        batches,
        seconds: Infinity,
        keepGoing: true,
        probesKnown: true,
        restartsMax: Infinity,
        known: [...buckets.values()].filter(({ stable, isWhole }) => stable && isWhole),
        out: this.#store.folder,
        shrink,
        save: (finding) => this.#save(finding),
        warn: say,
      },
      this.#hard.signal,
      this.#hooks(),
    );
  }

  #hooks(): CampaignHooks {
    return {
      onOpen: (session) => {
        this.#onOpen(session);
        this.#options.lines?.begin(session);
      },
      onCase: (prepared, verdict, place, judgement) => {
        this.#span.add(prepared, verdict, judgement);
        if (!isProblem(judgement)) return;
        const key = { class: judgement.class, signature: judgement.signature, stable: verdict !== 'unstable' };
        if (this.#store.state.buckets.get(bucketId(key))?.isWhole === true) return;
        this.#store.noteSighting(key, prepared.value, place.path);
      },
      onBatch: ({ hypercalls, cases }) => {
        this.#hypercalls = hypercalls;
        const { hypercalls: callsBefore, cases: casesBefore } = this.#before;
        this.#options.onProgress({
          seconds: this.#seconds,
          hypercalls: callsBefore + hypercalls,
          cases: casesBefore + cases,
        });
      },
      onBatchDone: async (batch) => {
        await this.#options.lines?.readSometimes();
        const placed = batch as PlacedBatch;
        this.#span.finish(placed);
        this.#position = placed.next;
        const age = Math.max(this.#seconds * spanSeconds.shareOfAge, spanSeconds.min);
        if (this.#seconds - this.#spanAt >= Math.min(age, spanSeconds.max)) await this.#commit();
      },
    };
  }

  #onOpen({ facts, bootSeconds }: Session): void {
    const { state, folder } = this.#store;
    if (state.kernelRelease !== null && state.kernelRelease !== facts.kernelRelease) {
      const advice = 'start another campaign for it, in a directory of its own';
      throw new UsageError(
        `${folder}: ran on kernel ${state.kernelRelease}, and this is ${facts.kernelRelease}; ${advice}`,
      );
    }
    const { kernelRelease, cpu } = facts;
    const { tornBytes } = this.#options;
    this.#store.append({
      type: 'open',
      host: hostname(),
      pid: process.pid,
      kernelRelease,
      cpu,
      bootSeconds: rounded(bootSeconds),
      tornBytes,
    });
    this.#options.say(`kernel ${kernelRelease}, booted in ${bootSeconds.toFixed(1)} s`);
    this.#startedAt = performance.now();
    this.#before = { hypercalls: state.hypercalls, cases: state.cases };
  }

  #onDeath(error: KernelFailure | InfrastructureError): void {
    if (error instanceof KernelFailure) {
      const { kind, fingerprint: signature } = error;
      this.#store.append({ type: 'death', kind, signature, console: this.#store.keepConsole(error.console) });
      return;
    }
    this.#store.append({ type: 'death', kind: 'infrastructure', signature: error.message, console: null });
  }

  async #save(finding: Finding): Promise<void> {
    const { signature, stable } = finding;
    const key: BucketKey = { class: finding.class, signature, stable };
    const isWhole = !this.#hard.signal.aborted;
    // The same unstable problem may be met again when a batch is repeated after a kill.
    if (!stable && this.#store.state.buckets.get(bucketId(key))?.isWhole === true) return;
    const file = join(this.#store.folder, findingName(bucketId(key), finding));
    const placed = { ...finding, replay: hvipiCommand('replay', file, ...this.#options.target.replayArguments) };
    await this.#store.saveFinding(key, finding, formatFinding(placed), isWhole, this.#hard.signal);
    this.#options.onFinding(placed);
  }

  get #seconds(): number {
    const now = this.#startedAt === null ? 0 : (performance.now() - this.#startedAt) / 1000;
    return this.#secondsBefore + now;
  }

  #shouldEnd(): boolean {
    this.#ending ??= this.#signal.aborted ? 'interrupted' : reachedLimit(this.#options.limits, this.#usage());
    return this.#ending !== null;
  }

  #usage(): Parameters<typeof reachedLimit>[1] {
    const { state } = this.#store;
    const { known, limits } = this.#options;
    const seconds = this.#seconds;
    const kinds = [...state.buckets.values()].map((bucket) => bucketKind(bucket, findKnown(known, bucket)));
    if (limits.diskBytes !== null && seconds - this.#disk.at > diskCheckSeconds) {
      this.#disk = { bytes: folderBytes(this.#store.folder), at: seconds };
    }
    return {
      seconds,
      hypercalls: this.#before.hypercalls + this.#hypercalls,
      findings: kinds.filter((kind) => kind === 'finding' || kind === 'unstable').length,
      diskBytes: this.#disk.bytes,
      memoryBytes: process.memoryUsage.rss(),
      stableSeconds: seconds - state.grewAt,
    };
  }

  async #commit(): Promise<void> {
    this.#spanAt = this.#seconds;
    if (!this.#span.isEmpty) this.#store.append(this.#span.toRecord(this.#position, this.#seconds));
    this.#span = new Span();
    const trace = (await this.#options.lines?.trace()) ?? null;
    if (trace !== null) this.#store.keepTrace(trace);
    await this.#store.flush(this.#hard.signal);
  }

  async #end({ ending, error }: CampaignResult): Promise<EndingName> {
    await this.#commit();
    const name =
      ending === 'infrastructure' ? ending : ending === 'interrupted' ? 'interrupted' : (this.#ending ?? 'runs');
    this.#store.append({ type: 'end', ending: name, error, seconds: rounded(this.#seconds) });
    await this.#store.flush(this.#hard.signal);
    return name;
  }
}
