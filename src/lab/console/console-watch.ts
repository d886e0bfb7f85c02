/**
 * Follows the console of a running lab: keeps what was printed, collects a failure report until it is complete, and
 * hears what our own hand says.
 */
import {
  beginsNext,
  type ConsoleReport,
  classifyConsole,
  cleanLine,
  endsReport,
  headlineKind,
  prefaceLinesMax,
} from './console.ts';
import { noteMark } from '../../hand/frames.ts';

/** The decompressor's last words, after the reason and without a newline (arch/x86/boot/compressed/error.c). */
const haltedText = ' -- System halted';

/** A report without an end mark is complete when nothing came for this long. Emulated serial output has no such gaps. */
const quietMs = 400;
/** A report that does not end by itself. */
const reportLinesMax = 400;
const lineCharsMax = 2000;
const keptLinesMax = 2000;

export interface ConsoleListener {
  /** A complete failure report. */
  report(report: ConsoleReport): void;
  /** A line for the host, without its mark. */
  note(text: string): void;
}

export class ConsoleWatch {
  private readonly listener: ConsoleListener;
  private readonly kept: string[] = [];
  private partial = '';
  private open: { kind: ConsoleReport['kind']; lines: string[] } | null = null;
  private timer: NodeJS.Timeout | null = null;

  constructor(listener: ConsoleListener) {
    this.listener = listener;
  }

  /** Whether a report has begun and is not complete. */
  get collecting(): boolean {
    return this.open !== null;
  }

  /** Takes the next piece of output. */
  feed(text: string): void {
    const lines = (this.partial + text).split('\n');
    this.partial = lines.pop()!.slice(-lineCharsMax);
    for (const line of lines) this.take(cleanLine(line.slice(0, lineCharsMax)));
    if (this.partial === haltedText) this.finish();
    if (this.open !== null) this.restartTimer();
  }

  /** Nothing more will come, or nothing more is waited for. */
  finish(): void {
    if (this.partial !== '') this.take(cleanLine(this.partial));
    this.partial = '';
    this.complete();
  }

  /** The last lines, without time stamps and empty lines. */
  lastLines(count: number): string[] {
    return this.kept.filter((line) => line.trim() !== '').slice(-count);
  }

  private take(line: string): void {
    this.kept.push(line);
    if (this.kept.length > keptLinesMax) this.kept.splice(0, keptLinesMax / 2);
    if (line.startsWith(noteMark)) this.listener.note(line.slice(noteMark.length));
    if (line === haltedText) this.listener.note(this.lastLines(2).join(''));
    if (this.open !== null && this.open.kind !== 'oops' && beginsNext(line)) this.complete();
    if (this.open === null) {
      const kind = headlineKind(line);
      if (kind === null) return;
      const before = this.kept.slice(-prefaceLinesMax - 1, -1);
      const cut = before.findLastIndex(beginsNext);
      this.open = { kind, lines: cut < 0 ? [] : before.slice(cut) };
    }
    this.open.lines.push(line);
    if (endsReport(this.open.kind, line) || this.open.lines.length >= reportLinesMax) this.complete();
  }

  private restartTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = setTimeout(() => this.complete(), quietMs);
  }

  private complete(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    const report = this.open === null ? null : classifyConsole(this.open.lines);
    this.open = null;
    if (report !== null) this.listener.report(report);
  }
}
