/** The style sheet of the HTML report: light and dark by the reader's preference, down to the width of a phone. */
export const style = `
:root { color-scheme: light dark; --ink: #1c2126; --soft: #59636e; --page: #ffffff; --panel: #f4f6f8; --line: #d3d9df;
  --accent: #0a5fb4; --heat: #0a6fd0; --bad: #b3261e; --good: #1a6b3a; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8ec; --soft: #9aa5b1; --page: #14181c; --panel: #1d2329; --line: #353d46;
    --accent: #6cb2ff; --heat: #3d9bff; --bad: #ff8a80; --good: #7fd69a; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1240px; padding: 1rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0.2rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.6rem; border-bottom: 1px solid var(--line); padding-bottom: 0.2rem; }
h3 { font-size: 1rem; margin: 0.8rem 0 0.3rem; }
p { margin: 0.3rem 0; }
.soft { color: var(--soft); }
.bad { color: var(--bad); }
.good { color: var(--good); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 0.6rem; margin: 1rem 0; }
.tile { background: var(--panel); border-radius: 6px; padding: 0.6rem 0.8rem; }
.tile b { display: block; font-size: 1.3rem; font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(330px, 100%), 1fr)); gap: 1rem; }
figure { margin: 0; }
figcaption { color: var(--soft); font-size: 0.85rem; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 11px system-ui, "DejaVu Sans", sans-serif; }
svg .axis { stroke: var(--line); fill: none; }
svg .curve { stroke: var(--accent); fill: none; stroke-width: 1.5; }
svg .area { fill: var(--accent); fill-opacity: 0.12; }
svg .cell { fill: var(--heat); }
.square { max-width: 620px; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; font-size: 0.85rem; }
th, td { padding: 0.25rem 0.5rem; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.heat th, .heat td { padding: 0.15rem 0.1rem; text-align: center; border: 1px solid var(--line); white-space: nowrap; }
.heat td { min-width: 1.75rem; font-size: 0.7rem; font-variant-numeric: tabular-nums;
  background: color-mix(in srgb, var(--heat) calc(var(--v, 0) * 75%), var(--page)); }
.heat .value { writing-mode: vertical-rl; transform: rotate(180deg); font-weight: 400; font-size: 0.75rem;
  margin: 0 auto; max-height: 10rem; }
.heat th.rule { position: sticky; left: 0; background: var(--page); text-align: left; font-weight: 400;
  overflow-wrap: normal; padding: 0.15rem 0.3rem; }
@media (max-width: 600px) { .heat th.rule { min-width: 6.5rem; white-space: normal; font-size: 0.75rem; } }
pre { background: var(--panel); padding: 0.6rem; border-radius: 6px; overflow-x: auto; overflow-wrap: normal;
  font: 12.5px/1.4 ui-monospace, "DejaVu Sans Mono", monospace; margin: 0.3rem 0; }
.source { background: var(--panel); padding: 0.4rem 0; border-radius: 6px; overflow-x: auto; }
.source table { border: 0; width: 100%; }
.source td { border: 0; padding: 0 0.6rem; white-space: pre; font: 12px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
.source .count { text-align: right; color: var(--soft); width: 1%; }
.source .ran { background: color-mix(in srgb, var(--good) 12%, transparent); }
.source .idle { background: color-mix(in srgb, var(--bad) 14%, transparent); }
details { border: 1px solid var(--line); border-radius: 6px; padding: 0.5rem 0.8rem; margin: 0.6rem 0; }
summary { cursor: pointer; }
.tag { background: var(--panel); border-radius: 4px; padding: 0 0.4rem; font-size: 0.85rem; }
`;
