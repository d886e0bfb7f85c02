/** The report as one HTML file that works offline. */
import { formatCount } from '../campaign/text/table.ts';
import { formatSpan } from '../durable/view/view.ts';
import { bucketSections, bucketText, countedBuckets } from './bucket-text.ts';
import { curveChart, deliveryMap, heat, short } from './charts.ts';
import { kvmCoverage } from './kvm-coverage.ts';
import { html, Markup } from './markup.ts';
import { style } from './style.ts';
import type { CampaignValue, ReportBucket } from './value.ts';

export function formatHtml(value: CampaignValue): string {
  const title = `hvipi campaign, seed ${value.campaign.seed}`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${new Markup(style)}
        </style>
      </head>
      <body>
        <h1>${title}</h1>
        ${headline(value)} ${tiles(value)}
        <h2>Rates and coverage</h2>
        ${curves(value)} ${buckets(value)}
        <h2>Coverage of the model</h2>
        ${heatMap(value)} ${kvmCoverage(value.kvmLines)}
        <h2>Deliveries by bank and bit of the VP index</h2>
        ${deliveryMap(value.deliveries)} ${deviations(value)}
        <h2>Lab and shards</h2>
        ${lab(value)}
      </body>
    </html> `.text;
}

function headline(value: CampaignValue): Markup {
  const counted = countedBuckets(value);
  const unstable = counted.filter(({ kind }) => kind === 'unstable').length;
  const count = counted.length - unstable;
  const apart = unstable === 0 ? '' : `, ${unstable} unstable`;
  const missing = value.missingShards.length === 0 ? '' : `; no journal of shard ${value.missingShards.join(', ')}`;
  const modules = value.campaign.kvmModules === null ? '' : ` with the modules of ${value.campaign.kvmModules}`;
  return html`<p>
      Target ${value.campaign.target}, kernel ${value.kernelRelease ?? 'unknown'}${modules}, CPU
      ${value.cpu ?? 'unknown'}, contract ${value.campaign.contract}${missing}.
    </p>
    <p class="${count === 0 ? 'good' : 'bad'}">
      ${count === 0 ? 'No finding' : `${count} ${count === 1 ? 'finding' : 'findings'}`}${apart}.
    </p>
    <p class="soft">Stream hash ${value.streamHash}</p>`;
}

function tiles(value: CampaignValue): Markup {
  const deaths = value.deaths.warning + value.deaths.oops + value.deaths.hang;
  const rows: [string, string][] = [
    ['hypercalls', formatCount(value.hypercalls)],
    ['hypercalls a second', formatCount(value.hypercallsPerSecond)],
    ['cases', formatCount(value.cases)],
    ...Object.entries(value.tiers).map(([tier, calls]): [string, string] => [`calls, ${tier}`, formatCount(calls)]),
    ['work of all shards', formatSpan(value.seconds)],
    ['rules met', `${value.rules.hit.length} of ${value.rules.total}`],
    ['(rule, dimension) pairs', formatCount(value.coverage.pairs)],
    ['VP indexes delivered to', formatCount(value.deliveries.length)],
    ['kernel failures', formatCount(deaths)],
    ['own failures', formatCount(value.deaths.infrastructure)],
    ['resident at the end', `${formatCount(value.memory.lastBytes / 2 ** 20)} MiB`],
  ];
  return html`<div class="tiles">
    ${rows.map(([name, figure]) => html`<div class="tile"><b>${figure}</b>${name}</div>`)}
  </div>`;
}

function curves({ curve, coverage }: CampaignValue): Markup {
  const rates = curve.map((point, index) => {
    const before = curve[index - 1] ?? { seconds: 0, hypercalls: 0 };
    const seconds = Math.max(point.seconds - before.seconds, 0.001);
    return { seconds: point.seconds, value: (point.hypercalls - before.hypercalls) / seconds };
  });
  const of = (name: 'pairs' | 'memoryBytes') => curve.map((point) => ({ seconds: point.seconds, value: point[name] }));
  return html`<div class="charts">
    ${curveChart({ title: 'Rate', unit: 'hypercalls a second, over the seconds of work', points: rates })}
    ${curveChart({ title: 'Coverage', unit: `(rule, dimension) pairs; with deliveries it last grew at ${formatSpan(coverage.grewAt)}`, points: of('pairs') })}
    ${curveChart({ title: 'Memory', unit: 'bytes resident in our own process', points: of('memoryBytes') })}
  </div>`;
}

function buckets(value: CampaignValue): Markup {
  return html`${bucketSections(value).map(
    (section) =>
      html`<h2>${section.title}</h2>
        ${section.buckets.map((bucket) => bucketDetails(value, bucket))}`,
  )}`;
}

function bucketDetails(value: CampaignValue, bucket: ReportBucket): Markup {
  const text = bucketText(value, bucket);
  const known = bucket.known;
  const replay = bucket.replayRate === null ? '' : `, replay ${bucket.replayRate}`;
  return html`<details${new Markup(bucket.kind === 'finding' ? ' open' : '')}>
<summary><span class="tag">${bucket.class}</span> <b>${bucket.signature}</b> <span class="soft">${bucket.id}, ${formatCount(bucket.cases)} ${bucket.cases === 1 ? 'case' : 'cases'}${replay}</span></summary>
<p class="soft">First seen ${bucket.firstSeen}, last seen ${bucket.lastSeen}.</p>
${known === null ? '' : html`<p>Known: commit ${known.commit}, release ${known.release}. ${known.why}</p>`}
${
  text === null
    ? html`<p>It was not shrunk; its case is in the folder cases.</p>`
    : html`<h3>Smallest case</h3>
        <pre>${text.case}</pre>
        <h3>Expected and observed</h3>
        <pre>${text.stages}</pre>
        ${
          text.console === null
            ? ''
            : html`<h3>Console</h3>
                <pre>${text.console}</pre>`
        }
        <h3>Replay</h3>
        <pre>${text.replay}</pre>`
}
</details>`;
}

function heatMap({ coverage: { columns, rows } }: CampaignValue): Markup {
  const groups = [...new Set(columns.map(({ dimension }) => dimension))].map((dimension) => ({
    dimension,
    span: columns.filter((column) => column.dimension === dimension).length,
  }));
  const most = Math.max(1, ...rows.flatMap(({ counts }) => counts));
  return html`<div class="scroll">
      <table class="heat">
        <thead>
          <tr>
            <th class="rule"></th>
            ${groups.map(({ dimension, span }) => html`<th colspan="${span}">${dimension}</th>`)}
          </tr>
          <tr>
            <th class="rule">rule</th>
            ${columns.map(({ value }) => html`<th><div class="value">${value}</div></th>`)}
          </tr>
        </thead>
        <tbody>
          ${rows.map(
            ({ rule, counts }) =>
              html`<tr>
                <th class="rule">${rule}</th>
                ${counts.map((count, index) => heatCell(rule, columns[index]!, count, most))}
              </tr>`,
          )}
        </tbody>
      </table>
    </div>
    <p class="soft">Calls that a rule decided, by what the call was like; a dot is none.</p>`;
}

function heatCell(
  rule: string,
  { dimension, value }: CampaignValue['coverage']['columns'][number],
  count: number,
  most: number,
): Markup {
  const title = `${rule}, ${dimension} ${value}: ${formatCount(count)} calls`;
  return html`<td style="--v:${heat(count, most).toFixed(2)}" title="${title}">
    ${count === 0 ? '·' : short(count)}
  </td>`;
}

function deviations({ deviations: met }: CampaignValue): Markup {
  if (met.length === 0) return html``;
  return html`<h2>Listed deviations from TLFS</h2>
    <div class="scroll">
      <table>
        <tr>
          <th>deviation</th>
          <th class="number">cases</th>
        </tr>
        ${met.map(
          ({ name, cases }) =>
            html`<tr>
              <td>${name}</td>
              <td class="number">${formatCount(cases)}</td>
            </tr>`,
        )}
      </table>
    </div>`;
}

function lab(value: CampaignValue): Markup {
  const { warning, oops, hang, infrastructure, last } = value.deaths;
  return html`<p>
      Restarts: ${warning} after a warning, ${oops} after an oops, ${hang} after a hang, ${infrastructure} after a
      failure of our own. Waits for the disk or a boot: ${value.troubles.length}. The last boot took
      ${value.bootSeconds.toFixed(1)} s.
    </p>
    <div class="scroll">
      <table>
        <tr>
          <th>shard</th>
          <th>work</th>
          <th class="number">cases</th>
          <th class="number">hypercalls</th>
          <th class="number">starts</th>
          <th class="number">restarts</th>
          <th>ended</th>
          <th>last line</th>
        </tr>
        ${value.shards.map(
          (shard) =>
            html`<tr>
              <td>${shard.index}/${value.campaign.shards}</td>
              <td>${formatSpan(shard.seconds)}</td>
              <td class="number">${formatCount(shard.cases)}</td>
              <td class="number">${formatCount(shard.hypercalls)}</td>
              <td class="number">${shard.opens}</td>
              <td class="number">${shard.deaths}</td>
              <td>${shard.ending ?? 'no'}</td>
              <td>${shard.lastAt}</td>
            </tr>`,
        )}
      </table>
    </div>
    ${
      last.length === 0
        ? ''
        : html`<h3>The last restarts</h3>
            <div class="scroll">
              <table>
                ${last.map(
                  (death) =>
                    html`<tr>
                      <td>${death.at}</td>
                      <td>${death.kind}</td>
                      <td>${death.signature}</td>
                    </tr>`,
                )}
              </table>
            </div>`
    }`;
}
