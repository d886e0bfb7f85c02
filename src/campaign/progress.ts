/** The progress line: rewritten in place on a terminal, a plain line now and then elsewhere. */
import type { Say } from '../system/say.ts';
import type { Finding } from './findings/finding.ts';
import { formatCount } from './text/table.ts';
import type { Tally } from './tally.ts';

/** Where progress goes; `src/cli.ts` gives stderr. */
export interface ProgressOutput {
  readonly isTTY: boolean;
  write(text: string): void;
}

const intervalMs = { tty: 200, plain: 10_000 };
/** Carriage return and "erase to the end of the line". */
const rewind = '\r\u001b[K';

export class Progress {
  readonly #output: ProgressOutput;
  #lastPrint = performance.now();
  #last = { hypercalls: 0, seconds: 0 };
  #isLineOpen = false;

  constructor(output: ProgressOutput) {
    this.#output = output;
  }

  /** Prints when the last line is old enough. */
  update(tally: Tally, findings: readonly Finding[]): void {
    const now = performance.now();
    const { isTTY } = this.#output;
    if (now - this.#lastPrint < (isTTY ? intervalMs.tty : intervalMs.plain)) return;
    this.#lastPrint = now;
    const text = this.#format(tally, findings.length);
    this.#output.write(isTTY ? `${rewind}${text}` : `${text}\n`);
    this.#isLineOpen = isTTY;
  }

  /** A whole line between progress lines. */
  line(text: string): void {
    this.#output.write(`${this.#isLineOpen ? rewind : ''}${text}\n`);
    this.#isLineOpen = false;
  }

  /** What is being done, as a line of its own. */
  readonly say: Say = (text) => this.line(`hvipi: ${text}`);

  /** Leaves the terminal with an empty line to go on with. */
  end(): void {
    if (this.#isLineOpen) this.#output.write(rewind);
    this.#isLineOpen = false;
  }

  #format(tally: Tally, findings: number): string {
    const { seconds, hypercalls, cases } = tally;
    const elapsed = seconds - this.#last.seconds;
    const rate = elapsed > 0 ? (hypercalls - this.#last.hypercalls) / elapsed : 0;
    this.#last = { hypercalls, seconds };
    return [
      `${seconds.toFixed(0)} s`,
      `${formatCount(cases)} cases`,
      `${formatCount(hypercalls)} hypercalls`,
      `${formatCount(rate)}/s`,
      `rules ${tally.rulesHit.length}/${tally.rules.length}, ${formatCount(tally.coverage.pairs)} pairs`,
      `findings ${findings}`,
    ].join(' | ');
  }
}
