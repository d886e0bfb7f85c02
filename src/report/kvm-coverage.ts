/** What ran of KVM's own source, as a part of the report. */
import { type FileCoverage, formatShare } from '../counts/coverage-report.ts';
import { html, type Markup } from './markup.ts';
import { sourcePageName } from './source-page.ts';

/** Nothing where it was not counted. */
export function kvmCoverage(files: readonly FileCoverage[] | null): Markup {
  if (files === null) return html``;
  return html`<h2>Coverage of KVM</h2>
    <p>
      Counted in the lab with one CPU. <a href="${sourcePageName}">The source with its counts</a> stands beside this
      page, where <code>campaign report</code> wrote both.
    </p>
    <div class="scroll">
      <table>
        <tr>
          <th>file</th>
          <th>lines that ran</th>
          <th>functions that ran</th>
          <th class="number">never called and not explained</th>
        </tr>
        ${files.map(
          ({ file, lines, functions, idle }) =>
            html`<tr>
              <td>${file}</td>
              <td>${formatShare(lines, 'lines')}</td>
              <td>${formatShare(functions, 'functions')}</td>
              <td class="number">${idle.filter(({ why }) => why === null).length}</td>
            </tr>`,
        )}
      </table>
    </div>
    ${files.map(
      ({ file, idle }) =>
        html`<details>
          <summary>${file}: ${idle.length} functions that were never called</summary>
          <table>
            ${idle.map(
              ({ name, why }) =>
                html`<tr>
                  <td><a href="${sourcePageName}#${name}">${name}</a></td>
                  <td>${why ?? html`<span class="bad">not explained</span>`}</td>
                </tr>`,
            )}
          </table>
        </details>`,
    )}`;
}
