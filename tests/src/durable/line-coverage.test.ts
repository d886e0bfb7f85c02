import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readTrace } from '../../../src/durable/line-coverage.ts';
import { mergeCampaigns } from '../../../src/durable/merge.ts';
import type { LineCounter } from '../../../src/durable/run.ts';
import { campaignValue } from '../../../src/report/value.ts';
import { formatHtml } from '../../../src/report/html.ts';
import { formatMarkdown } from '../../../src/report/markdown.ts';
import { formatSourcePage, readSources } from '../../../src/report/source-page.ts';
import type { Trace } from '../../../src/counts/lcov.ts';
import { temporaryFolder } from '../../temporary-folder.ts';
import { resumeIn, startIn } from './helpers.ts';

const file = 'arch/x86/kvm/lapic.c';

/** Counts so many calls of one of two functions. */
function counter(tree: string, calls: number): LineCounter {
  const trace: Trace = new Map([
    [
      `${tree}/${file}`,
      {
        lines: new Map([
          [2, calls],
          [6, 0],
        ]),
        functions: new Map([
          ['taken', { start: 1, count: calls }],
          ['left', { start: 5, count: 0 }],
        ]),
      },
    ],
  ]);
  return { begin: () => undefined, readSometimes: () => Promise.resolve(), trace: () => Promise.resolve(trace) };
}

async function campaignIn(tree: string): Promise<string> {
  const folder = temporaryFolder();
  await startIn(folder, { campaign: { runs: 64 }, options: { lines: counter(tree, 3) } });
  await resumeIn(folder, { options: { lines: counter(tree, 4) } });
  return folder;
}

describe('lines that a campaign ran', () => {
  it('should add up over processes, and be the same however often directories are merged', async () => {
    const folder = await campaignIn('/tree');
    const merged = temporaryFolder();
    await mergeCampaigns(merged, [folder]);
    await mergeCampaigns(merged, [folder]);

    expect(readdirSync(join(folder, 'coverage'))).toEqual(['0123456789ab-1.info', '0123456789ab-2.info']);
    expect(readTrace(folder)!.get(`/tree/${file}`)!.lines.get(2)).toBe(7);
    expect(readTrace(merged)).toEqual(readTrace(folder));
  });

  it('should stand in the report, and in a page with the source beside them', async () => {
    const tree = temporaryFolder();
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    writeFileSync(join(tree, file), 'int taken(void)\n{ return a < b; }\n\n\nint left(void)\n{ return 1; }\n');
    const folder = await campaignIn(tree);
    const value = campaignValue(folder, []);
    const page = formatSourcePage(await readSources(readTrace(folder)!, null));
    const elsewhere = formatSourcePage(await readSources(readTrace(folder)!, '/nowhere'));

    expect(value.kvmLines).toMatchObject([{ file, lines: { part: 1, whole: 2 }, functions: { part: 1, whole: 2 } }]);
    expect(formatHtml(value)).toContain('coverage.html#left');
    expect(formatMarkdown(value)).toContain('1 of 2 lines (50 %), 1 of 2 functions (50 %) ran');
    expect(page).toMatch(/<tr class="ran"><td class="count">2<\/td><td class="count">7<\/td><td>{ return a &lt; b; }/);
    expect(page).toMatch(/<tr id="left"><td class="count">5/);
    expect(elsewhere).toContain('give its tree by --source');
  });

  it('should be none where nothing counts', async () => {
    const folder = temporaryFolder();
    await startIn(folder, { campaign: { runs: 8 } });

    expect(readTrace(folder)).toBeNull();
    expect(formatHtml(campaignValue(folder, []))).not.toContain('Coverage of KVM');
  });
});
