/** The screen of a running campaign: redrawn in place on a terminal, a plain line every 10 s elsewhere. */
import type { ProgressOutput } from '../../campaign/progress.ts';
import type { Live } from '../run.ts';
import { type Figures, plainLine, screenLines } from './view.ts';

const intervalMs = { tty: 500, plain: 10_000 };
/** The rate "now" is over this long. */
const rateMs = 5000;
const columnsDefault = 80;

export interface ScreenOutput extends ProgressOutput {
  readonly columns?: number | undefined;
}

export class Screen {
  readonly #output: ScreenOutput;
  readonly #figures: (live: Live) => Omit<Figures, 'rate' | keyof Live>;
  readonly #samples: { at: number; hypercalls: number }[] = [];
  #printedAt = performance.now();
  #height = 0;

  constructor(output: ScreenOutput, figures: (live: Live) => Omit<Figures, 'rate' | keyof Live>) {
    this.#output = output;
    this.#figures = figures;
  }

  update(live: Live): void {
    const now = performance.now();
    this.#samples.push({ at: now, hypercalls: live.hypercalls });
    while (this.#samples.length > 2 && now - this.#samples[0]!.at > rateMs) this.#samples.shift();
    const { isTTY, columns = columnsDefault } = this.#output;
    if (now - this.#printedAt < (isTTY ? intervalMs.tty : intervalMs.plain)) return;
    this.#printedAt = now;
    const figures = { ...this.#figures(live), ...live, rate: this.#rate() };
    if (!isTTY) {
      this.#output.write(`${plainLine(figures)}\n`);
      return;
    }
    const lines = screenLines(figures, columns);
    this.#output.write(`${this.#rewind()}${lines.join('\n')}\n`);
    this.#height = lines.length;
  }

  /** A whole line that stays; the screen goes on below it. */
  line(text: string): void {
    this.#output.write(`${this.#rewind()}${text}\n`);
    this.#height = 0;
  }

  /** To the first line of the screen, and everything from there erased. */
  #rewind(): string {
    return this.#height === 0 ? '' : `\u001b[${this.#height}A\r\u001b[J`;
  }

  #rate(): number {
    const [first] = this.#samples;
    const last = this.#samples.at(-1)!;
    const elapsed = (last.at - first!.at) / 1000;
    return elapsed > 0 ? (last.hypercalls - first!.hypercalls) / elapsed : 0;
  }
}
