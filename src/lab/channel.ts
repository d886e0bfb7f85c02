/**
 * The queue of requests to the agent. It is where answers, console reports, silence and the end of QEMU meet, and
 * where it is decided what becomes of the requests that wait.
 */
import type { TargetFacts } from '../executor/facts.ts';
import { InfrastructureError, KernelFailure, SkippedError } from '../errors.ts';
import type { ConsoleReport } from './console/console.ts';
import type { ConsoleWatch } from './console/console-watch.ts';
import type { MachineListener } from './emulator/machine.ts';
import { encodeFrame, type Frame, FrameDecoder } from './protocol.ts';

/** What the channel needs of the machine. */
export interface ChannelMachine {
  readonly console: Pick<ConsoleWatch, 'collecting' | 'lastLines'>;
  send(bytes: Buffer): void;
  sendNmi(): void;
  /** Milliseconds that the emulated computer has waited for a CPU of this one so far. */
  starvedMs(): number;
}

interface Pending {
  readonly kind: 'run' | 'exec';
  readonly onOutput: (bytes: Buffer) => void;
  /** How much longer than others its answer may take. */
  readonly patienceMs: number;
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: Error) => void;
  /** Set when the agent has answered. */
  answer: Buffer | Error | null;
}

interface Settlers<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

const tickMs = 1000;
/** How long an NMI's report may take. */
const nmiMs = 3000;
const shownLines = 40;

export class Channel implements MachineListener {
  /** When the agent waits for its modules; rejects when the lab fails before. */
  readonly waiting: Promise<void>;
  /** Facts of the agent as soon as it has its modules; rejects when the lab fails before. */
  readonly ready: Promise<TargetFacts>;
  readonly #silenceMs: number;
  readonly #decoder = new FrameDecoder();
  readonly #ticker: NodeJS.Timeout;
  #queue: Pending[] = [];
  #machine: ChannelMachine | null = null;
  #dead: Error | null = null;
  /** A warning that no request has been told about. */
  #warning: KernelFailure | null = null;
  /** The first line of the init script's complaint. */
  #note: string | null = null;
  #isReady = false;
  #silentMs = 0;
  #starvedMs = 0;
  #nmiSent = false;
  readonly #settleWaiting: Settlers<void>;
  readonly #settleReady: Settlers<TargetFacts>;

  /** @param silenceMs how long the agent may be silent while it works on a batch. */
  constructor(silenceMs: number) {
    this.#silenceMs = silenceMs;
    [this.waiting, this.#settleWaiting] = settled<void>();
    [this.ready, this.#settleReady] = settled<TargetFacts>();
    // Counted in ticks: while this whole process is stopped (Ctrl-Z, a sleeping laptop) no silence adds up.
    this.#ticker = setInterval(() => this.#tick(), tickMs);
    this.#ticker.unref();
  }

  attach(machine: ChannelMachine): void {
    this.#machine = machine;
  }

  /** Gives the agent its modules: bytes of `encodeModules`. */
  handOver(modules: Buffer): void {
    this.#machine?.send(encodeFrame('modules', modules));
  }

  /** Sends a request; resolves with the payload of its answer. */
  request(
    kind: 'run' | 'exec',
    payload: Buffer,
    { onOutput = () => undefined, patienceMs = 0 }: Partial<Pick<Pending, 'onOutput' | 'patienceMs'>> = {},
  ): Promise<Buffer> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    if (this.#warning !== null) return Promise.reject(this.#takeWarning());
    return new Promise((resolve, reject) => {
      if (this.#queue.length === 0) this.#silentMs = 0;
      this.#queue.push({ kind, onOutput, patienceMs, resolve, reject, answer: null });
      this.#machine!.send(encodeFrame(kind, payload));
    });
  }

  /** Fails what waits and everything later. */
  close(error: Error): void {
    if (this.#dead !== null) return;
    this.#dead = error;
    clearInterval(this.#ticker);
    this.#settleWaiting.reject(error);
    this.#settleReady.reject(error);
    for (const pending of this.#queue) pending.reject(error);
    this.#queue = [];
  }

  received(bytes: Buffer): void {
    if (this.#dead !== null) return;
    this.#silentMs = 0;
    try {
      for (const frame of this.#decoder.push(bytes)) this.#take(frame);
    } catch (error) {
      this.close(new InfrastructureError(`the lab's channel: ${(error as Error).message}`));
    }
    // What the kernel printed before it answered has arrived as well, but may be read after the answer.
    setImmediate(() => this.#release());
  }

  report(report: ConsoleReport): void {
    const { kind, fingerprint, excerpt } = report;
    if (this.#nmiSent && kind === 'oops') {
      const place = fingerprint.split('; ').slice(1);
      this.close(new KernelFailure('hang', [this.#silenceText(), ...place].join('; '), excerpt));
    } else if (kind !== 'warning') {
      this.close(new KernelFailure(kind, fingerprint, excerpt));
    } else {
      this.#warning ??= new KernelFailure(kind, fingerprint, excerpt);
      // They stay in the queue, because the agent will answer them.
      const waiting = this.#queue.filter(({ answer }) => !(answer instanceof KernelFailure));
      if (waiting.length > 0) {
        const failure = this.#takeWarning();
        for (const pending of waiting) pending.reject(failure);
      }
      this.#release();
    }
  }

  note(text: string): void {
    this.#note ??= text;
    // The agent's own account of what is wrong comes by the channel and may be read after this.
    setImmediate(() => this.close(new InfrastructureError(this.#explain(this.#note!))));
  }

  ended(complaint: string): void {
    const why = complaint === '' ? '' : `: ${complaint}`;
    setImmediate(() => this.close(new InfrastructureError(this.#explain(`QEMU ended${why}`))));
  }

  /** A warning during boot is not the doing of a case: it is handed over here, once, instead of failing a request. */
  takeBootWarning(): KernelFailure | null {
    return this.#warning === null ? null : this.#takeWarning();
  }

  #takeWarning(): KernelFailure {
    const warning = this.#warning!;
    this.#warning = null;
    return warning;
  }

  #take({ kind, payload }: Frame): void {
    if (kind === 'waiting') return this.#settleWaiting.resolve();
    if (kind === 'ready') {
      this.#isReady = true;
      this.#settleReady.resolve(JSON.parse(payload.toString()) as TargetFacts);
      return;
    }
    const unanswered = this.#queue.find(({ answer }) => answer === null);
    const error = errorOf(kind, payload);
    if (unanswered === undefined) {
      // An agent that cannot start says so unasked.
      this.close(error ?? new InfrastructureError(`the agent sent ${kind} unasked`));
    } else if (kind === 'output') {
      unanswered.onOutput(payload);
    } else {
      unanswered.answer = error ?? payload;
    }
  }

  /** Passes on answers in order, except while a console report is incomplete. */
  #release(): void {
    while (this.#queue[0]?.answer != null && !this.#machine!.console.collecting) {
      const { answer, resolve, reject } = this.#queue.shift()!;
      if (answer instanceof Error) reject(answer);
      else resolve(answer!);
    }
  }

  #tick(): void {
    // A lab that gets no CPU cannot answer: an overloaded computer is no hang of the kernel under test.
    const before = this.#starvedMs;
    this.#starvedMs = this.#machine?.starvedMs() ?? 0;
    if (!this.#isReady || this.#queue[0]?.kind !== 'run' || this.#queue[0].answer !== null) return;
    this.#silentMs += Math.max(0, tickMs - Math.max(0, this.#starvedMs - before));
    if (this.#silentMs < this.#silenceMs + this.#queue[0].patienceMs || this.#nmiSent) return;
    this.#nmiSent = true;
    this.#machine!.sendNmi();
    setTimeout(() => {
      const lines = this.#machine!.console.lastLines(shownLines).join('\n');
      this.close(new KernelFailure('hang', this.#silenceText(), lines));
    }, nmiMs).unref();
  }

  #silenceText(): string {
    return `no answer from the lab for ${this.#silenceMs / 1000} s`;
  }

  /** Adds what a program in the lab printed about its own end. */
  #explain(text: string): string {
    const lines = this.#machine?.console.lastLines(shownLines) ?? [];
    const cause = lines.findLast((line) => /^(?:\w*Error(?: \[\w+\])?: |FATAL ERROR: |Segmentation fault)/.test(line));
    return cause === undefined ? text : `${text}: ${cause}`;
  }
}

/** A promise that may fail unheard, and what settles it. */
function settled<T>(): [Promise<T>, Settlers<T>] {
  let settlers!: Settlers<T>;
  const promise = new Promise<T>((resolve, reject) => {
    settlers = { resolve, reject };
  });
  promise.catch(() => undefined);
  return [promise, settlers];
}

function errorOf(kind: Frame['kind'], payload: Buffer): Error | null {
  if (kind === 'failed') return new InfrastructureError(`the agent in the lab: ${payload.toString()}`);
  if (kind === 'skipped') return new SkippedError(payload.toString());
  return null;
}
