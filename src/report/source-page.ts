/** KVM's source with how often each line ran. The text is read from a tree when the page is made, and kept nowhere else. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatCount } from '../campaign/text/table.ts';
import { countedFiles, coverageOf, type FileCoverage, formatShare } from '../counts/coverage-report.ts';
import type { Trace, TracedFile } from '../counts/lcov.ts';
import { html, Markup } from './markup.ts';
import { style } from './style.ts';

/** The page lies beside the report. */
export const sourcePageName = 'coverage.html';

export interface TracedSource {
  readonly coverage: FileCoverage;
  readonly traced: TracedFile;
  /** Null where the tree has no such file. */
  readonly text: string | null;
  /** Where the text is from, or would be. */
  readonly path: string;
}

/** @param tree null for the one that was built. */
export async function readSources(trace: Trace, tree: string | null): Promise<TracedSource[]> {
  return Promise.all(
    coverageOf(trace, countedFiles).map(async (coverage) => {
      const path = tree === null ? coverage.path : join(tree, coverage.file);
      const text = existsSync(path) ? await readFile(path, 'utf8') : null;
      return { coverage, traced: trace.get(coverage.path)!, text, path };
    }),
  );
}

export function formatSourcePage(sources: readonly TracedSource[]): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>hvipi: which lines of KVM ran</title>
        <style>
          ${new Markup(style)}
        </style>
      </head>
      <body>
        <h1>Which lines of KVM ran</h1>
        ${sources.map(sourceSection)}
      </body>
    </html> `.text;
}

function sourceSection({ coverage: { file, lines, functions }, traced, text, path }: TracedSource): Markup {
  return html`<h2>${file}</h2>
    <p>
      ${formatShare(lines, 'lines')} and ${formatShare(functions, 'functions')} ran. <span class="soft">${path}</span>
    </p>
    ${text === null ? html`<p class="bad">There is no such file: give its tree by --source.</p>` : sourceTable(text, traced)}`;
}

function sourceTable(text: string, { lines, functions }: TracedFile): Markup {
  const names = new Map([...functions].map(([name, { start }]) => [start, name]));
  const rows = text
    .split('\n')
    .map((line, index) => sourceRow(index + 1, line, lines.get(index + 1), names.get(index + 1)));
  return new Markup(`<div class="source"><table>\n${rows.join('\n')}\n</table></div>`);
}

/** In one line, because blanks are shown as they are. */
function sourceRow(number: number, line: string, count: number | undefined, name: string | undefined): string {
  const kind = count === undefined ? '' : count > 0 ? ' class="ran"' : ' class="idle"';
  const anchor = name === undefined ? html`` : html` id="${name}"`;
  const shown = count === undefined ? '' : formatCount(count);
  return html`<tr${new Markup(kind)}${anchor}><td class="count">${number}</td><td class="count">${shown}</td><td>${line}</td></tr>`
    .text;
}
