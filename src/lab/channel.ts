/**
 * The queue of requests to the lab's hand. Answers, console reports, silence and the end of the emulator meet here,
 * and decide the requests that wait.
 */
import { encodeFrame, type Frame, FrameDecoder } from '../hand/frames.ts';
import { HandRefusal } from '../hand/hand.ts';
import { InfrastructureError, KernelFailure, SkippedError } from '../errors.ts';
import type { ConsoleReport } from './console/console.ts';
import { ownFaultOf } from './console/own-fault.ts';
import type { ConsoleWatch } from './console/console-watch.ts';
import type { MachineListener } from './emulator/machine.ts';
import { settled, type Settlers } from './settled.ts';

/** What the channel needs of the machine. */
export interface ChannelMachine {
  /** What the emulator is called. */
  readonly title: string;
  readonly console: Pick<ConsoleWatch, 'collecting' | 'lastLines' | 'feed'>;
  send(bytes: Buffer): void;
  /** Whether an answer is awaited; while none is, the computer may stand still. */
  expect(isExpected: boolean): void;
  sendNmi(): void;
  /** Milliseconds that the emulated computer has waited for a CPU of this one so far. */
  starvedMs(): number;
}

/** What can be asked of a hand. */
export type RequestKind = 'script' | 'module' | 'readFile' | 'writeFile' | 'exec';

interface Pending {
  readonly kind: RequestKind;
  readonly onOutput: (bytes: Buffer) => void;
  /** How much longer than others its answer may take. */
  readonly patienceMs: number;
  readonly resolve: (payload: Buffer) => void;
  readonly reject: (error: Error) => void;
  /** Set when the hand has answered. */
  answer: Buffer | Error | null;
}

const tickMs = 1000;
/** How long an NMI's report may take. */
const nmiMs = 3000;
const shownLines = 40;

export class Channel implements MachineListener {
  /** The version of the hand, when it is up; rejects when the lab fails before. */
  readonly hello: Promise<string>;
  readonly #silenceMs: number;
  readonly #decoder = new FrameDecoder();
  readonly #ticker: NodeJS.Timeout;
  #queue: Pending[] = [];
  #machine: ChannelMachine | null = null;
  #dead: Error | null = null;
  /** A warning that no request has been told about. */
  #warning: KernelFailure | null = null;
  /** What the hand said on the console. */
  #note: string | null = null;
  #silentMs = 0;
  #starvedMs = 0;
  #nmiSent = false;
  readonly #settleHello: Settlers<string>;

  /** @param silenceMs how long the hand may be silent while it executes a script. */
  constructor(silenceMs: number) {
    this.#silenceMs = silenceMs;
    [this.hello, this.#settleHello] = settled<string>();
    // Counted in ticks: while this whole process is stopped (Ctrl-Z, a sleeping laptop) no silence adds up.
    this.#ticker = setInterval(() => this.#tick(), tickMs);
    this.#ticker.unref();
  }

  attach(machine: ChannelMachine): void {
    this.#machine = machine;
  }

  /** Sends a request; resolves with the payload of its answer. */
  request(
    kind: RequestKind,
    payload: Buffer,
    { onOutput = () => undefined, patienceMs = 0 }: Partial<Pick<Pending, 'onOutput' | 'patienceMs'>> = {},
  ): Promise<Buffer> {
    if (this.#dead !== null) return Promise.reject(this.#dead);
    if (this.#warning !== null) return Promise.reject(this.#takeWarning());
    return new Promise((resolve, reject) => {
      if (this.#queue.length === 0) {
        this.#silentMs = 0;
        this.#machine!.expect(true);
      }
      this.#queue.push({ kind, onOutput, patienceMs, resolve, reject, answer: null });
      this.#machine!.send(encodeFrame(kind, payload));
    });
  }

  /** Fails what waits and everything later. */
  close(error: Error): void {
    if (this.#dead !== null) return;
    this.#dead = error;
    clearInterval(this.#ticker);
    this.#settleHello.reject(error);
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
    const ownFault = ownFaultOf(report);
    if (ownFault !== null) {
      this.close(new InfrastructureError(ownFault));
    } else if (this.#nmiSent && kind === 'oops') {
      const place = fingerprint.split('; ').slice(1);
      this.close(new KernelFailure('hang', [this.#silenceText(), ...place].join('; '), excerpt));
    } else if (kind !== 'warning') {
      this.close(new KernelFailure(kind, fingerprint, excerpt));
    } else {
      this.#warning ??= new KernelFailure(kind, fingerprint, excerpt);
      // They stay in the queue, because the hand will answer them.
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
    // What the hand had answered before comes by the channel and may be read after this.
    setImmediate(() => {
      this.#release();
      this.close(new InfrastructureError(this.#note!));
    });
  }

  ended(complaint: string): void {
    const why = complaint === '' ? '' : `: ${complaint}`;
    setImmediate(() => this.close(new InfrastructureError(`${this.#machine?.title ?? 'the emulator'} ended${why}`)));
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
    if (kind === 'hello') return this.#settleHello.resolve(payload.toString());
    if (kind === 'kernelLog') return this.#machine!.console.feed(kernelLogText(payload));
    const unanswered = this.#queue.find(({ answer }) => answer === null);
    const error = errorOf(kind, payload);
    if (unanswered === undefined) {
      this.close(error ?? new InfrastructureError(`the hand sent ${kind} unasked`));
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
      if (this.#queue.length === 0) this.#machine!.expect(false);
    }
  }

  #tick(): void {
    // A lab that gets no CPU cannot answer: an overloaded computer is no hang of the kernel under test.
    const before = this.#starvedMs;
    this.#starvedMs = this.#machine?.starvedMs() ?? 0;
    if (this.#queue[0]?.kind !== 'script' || this.#queue[0].answer !== null) return;
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
}

function errorOf(kind: Frame['kind'], payload: Buffer): Error | null {
  if (kind === 'failed') return new HandRefusal(payload.toString());
  if (kind === 'noKvm') return new SkippedError(payload.toString());
  return null;
}

/** The text of a record of /dev/kmsg: `priority,sequence,time,flags;text`, then lines of properties that begin with a space. */
function kernelLogText(record: Buffer): string {
  const text = record.toString('latin1');
  return `${text.slice(text.indexOf(';') + 1).split('\n')[0]!}\n`;
}
