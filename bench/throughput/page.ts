/** The figures as text for a terminal, and as one HTML page that works offline. */
import { formatTable } from '../../src/campaign/text/table.ts';
import { html, Markup } from '../../src/report/markup.ts';
import { style } from '../../src/report/style.ts';
import { type Figure, median, type Series } from './figure.ts';

export interface Measured {
  readonly schema: 'hvipi/bench/1';
  readonly date: string;
  readonly kernel: string;
  readonly node: string;
  /** Load of this computer (1 minute) before and after: what else ran takes from every figure. */
  readonly load: readonly [number, number];
  readonly figures: readonly Figure[];
  readonly series: readonly Series[];
}

/** A figure in a line, for whoever waits for the others. */
export function formatFigure(figure: Figure): string {
  return `${figure.name}: ${value(figure, median(figure.rounds))} ${figure.unit}`;
}

/** A table: median, slowest and fastest round, and the ratio to the raw guest loop. */
export function formatMeasured({ kernel, load, figures, series }: Measured): string {
  // Of one lab: the first.
  const floorOf = ({ unit }: Figure) =>
    figures.find((each) => each.name.startsWith('raw guest loop') && each.unit === unit);
  const rows = [...figures, ...series.flatMap(({ points }) => points.map(({ figure }) => figure))].map((figure) => [
    figure.name,
    value(figure, median(figure.rounds)),
    `(${value(figure, Math.min(...figure.rounds))} to ${value(figure, Math.max(...figure.rounds))})`,
    figure.unit,
    ratio(figure, floorOf(figure)),
  ]);
  return `kernel ${kernel}, load ${load.map((each) => each.toFixed(1)).join(' to ')}\n${formatTable(rows)}`;
}

function ratio(figure: Figure, floor: Figure | undefined): string {
  return floor === undefined ? '' : (median(figure.rounds) / median(floor.rounds)).toFixed(2);
}

function value({ unit }: Figure, number: number): string {
  return unit.startsWith('calls/') ? Math.round(number).toLocaleString('en') : number.toFixed(unit === 's' ? 2 : 0);
}

export function pageOf(measured: Measured): string {
  const { date, kernel, node, load, figures, series } = measured;
  const of = (...units: readonly Figure['unit'][]) => figures.filter(({ unit }) => units.includes(unit));
  const page = html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>hvipi bench</title>
        <style>
          ${new Markup(style)}
        </style>
      </head>
      <body>
        <h1>hvipi bench</h1>
        <p class="soft">
          ${date}; kernel ${kernel}; Node ${node}; load ${load.map((each) => each.toFixed(1)).join(' to ')}
        </p>
        <h2>Hypercalls per second</h2>
        ${bars(of('calls/s'))}
        <h2>Hypercalls per second of the lab's CPU</h2>
        ${bars(of('calls/lab CPU s'))}
        <h2>Seconds and memory</h2>
        ${bars(of('s', 'MiB'))}
        ${series.map(
          ({ title, points }) =>
            html`<h2>Against ${title}</h2>
              ${bars(points.map(({ figure }) => figure))}`,
        )}
      </body>
    </html> `;
  return page.text;
}

const row = { height: 22, left: 250, width: 760, right: 120 } as const;

/** A bar for each median, with a line from the slowest to the fastest round. */
function bars(figures: readonly Figure[]): Markup {
  const most = Math.max(...figures.flatMap(({ rounds }) => rounds));
  const x = (at: number): number => row.left + (at / most) * (row.width - row.left - row.right);
  return html`<figure>
    <svg viewBox="0 0 ${row.width} ${row.height * figures.length}" role="img">
      ${figures.map((figure, index) => {
        const y = row.height * index;
        const middle = median(figure.rounds);
        const [low, high] = [Math.min(...figure.rounds), Math.max(...figure.rounds)];
        return html`<text x="${row.left - 6}" y="${y + 15}" text-anchor="end">${figure.name}</text>
          <rect
            class="area"
            x="${row.left}"
            y="${y + 4}"
            width="${(x(middle) - row.left).toFixed(1)}"
            height="${row.height - 8}"
          />
          <path class="curve" d="M${x(low).toFixed(1)},${y + row.height / 2} H${x(high).toFixed(1)}" />
          <text x="${(x(high) + 6).toFixed(1)}" y="${y + 15}">${value(figure, middle)} ${figure.unit}</text>`;
      })}
    </svg>
  </figure>`;
}
