/** Curves and the map of deliveries as SVG. */
import { formatCount } from '../campaign/text/table.ts';
import { formatSpan } from '../durable/view/view.ts';
import { html, type Markup } from './markup.ts';

const box = { width: 400, height: 190, left: 52, right: 12, top: 12, bottom: 24 } as const;
const ticks = 4;

export interface Curve {
  readonly title: string;
  readonly unit: string;
  readonly points: readonly { readonly seconds: number; readonly value: number }[];
}

/** A curve over the seconds of work, from zero. */
export function curveChart({ title, unit, points }: Curve): Markup {
  const last = points.at(-1);
  if (last === undefined)
    return html`<figure>
      <p class="soft">Nothing was measured.</p>
      <figcaption>${title}</figcaption>
    </figure>`;
  const top = niceCeiling(Math.max(...points.map(({ value }) => value)));
  const seconds = Math.max(last.seconds, 1);
  const x = (at: number): number => box.left + (at / seconds) * (box.width - box.left - box.right);
  const y = (value: number): number => box.height - box.bottom - (value / top) * (box.height - box.top - box.bottom);
  const path = points.map((point) => `${x(point.seconds).toFixed(1)},${y(point.value).toFixed(1)}`).join(' L');
  const first = x(points[0]!.seconds).toFixed(1);
  const rows = Array.from({ length: ticks + 1 }, (_, index) => (top * index) / ticks);
  const columns = [0, seconds / 2, seconds];
  const anchors = ['start', 'middle', 'end'];
  return html`<figure>
    <svg viewBox="0 0 ${box.width} ${box.height}" role="img" aria-label="${title}">
      ${rows.map((value) => html`<path class="axis" d="M${box.left},${y(value)} H${box.width - box.right}" /><text x="${box.left - 5}" y="${y(value) + 4}" text-anchor="end">${short(value)}</text>`)}
      ${columns.map((at, index) => html`<text x="${x(at)}" y="${box.height - 7}" text-anchor="${anchors[index]!}">${formatSpan(at)}</text>`)}
      <path class="area" d="M${first},${y(0)} L${path} L${x(last.seconds).toFixed(1)},${y(0)} Z" />
      <path class="curve" d="M${path}" />
    </svg>
    <figcaption>${title}; ${unit}</figcaption>
  </figure>`;
}

const cell = 9;
const margin = 30;
const side = 64;

/** Deliveries by bank (down) and bit (across), on a logarithmic scale. */
export function deliveryMap(deliveries: readonly { bank: number; bit: number; count: number }[]): Markup {
  const most = Math.max(1, ...deliveries.map(({ count }) => count));
  const size = margin + side * cell + 2;
  const labels = [0, 16, 32, 48, 63];
  return html`<figure class="square">
    <svg viewBox="0 0 ${size} ${size}" role="img" aria-label="deliveries by bank and bit">
      <rect class="axis" x="${margin}" y="${margin}" width="${side * cell}" height="${side * cell}" />
      ${labels.map((at) => html`<text x="${margin + (at + 0.5) * cell}" y="${margin - 6}" text-anchor="middle">${at}</text><text x="${margin - 5}" y="${margin + (at + 0.5) * cell + 4}" text-anchor="end">${at}</text>`)}
      <text x="2" y="12">bit</text>
      ${deliveries.map(({ bank, bit, count }) => html`<rect class="cell" x="${margin + bit * cell}" y="${margin + bank * cell}" width="${cell}" height="${cell}" fill-opacity="${heat(count, most).toFixed(2)}"><title>VP ${bank * side + bit}: bank ${bank}, bit ${bit}, ${formatCount(count)} deliveries</title></rect>`)}
    </svg>
    <figcaption>
      Banks from top to bottom, bits from left to right; the darkest cell has ${formatCount(most)} deliveries, the scale
      is logarithmic.
    </figcaption>
  </figure>`;
}

/** From 0 for none to 1 for the most; a single one is visible. */
export function heat(count: number, most: number): number {
  if (count === 0) return 0;
  return most <= 1 ? 1 : 0.15 + (0.85 * Math.log(count)) / Math.log(most);
}

/** 1234567 as `1.2M`. */
export function short(count: number): string {
  if (count >= 1e9) return `${trimmed(count / 1e9)}G`;
  if (count >= 1e6) return `${trimmed(count / 1e6)}M`;
  if (count >= 1e3) return `${trimmed(count / 1e3)}k`;
  return trimmed(count);
}

function trimmed(value: number): string {
  return value >= 10 || Number.isInteger(value) ? `${Math.round(value)}` : value.toFixed(1);
}

/** The next number that reads well on an axis. */
function niceCeiling(value: number): number {
  if (value <= 4) return 4;
  const unit = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((factor) => factor * unit).find((candidate) => candidate >= value)!;
}
