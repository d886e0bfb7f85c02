/** `campaign report` and `campaign merge`: what can be done with directories when nobody runs in them. */
import { writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { mergeCampaigns } from '../../durable/merge.ts';
import type { KnownFinding } from '../../durable/known.ts';
import { withFileErrors } from '../../system/file-errors.ts';
import { UsageError } from '../../errors.ts';
import { countedBuckets } from '../../report/bucket-text.ts';
import { type ReportFormatName, reportFormats } from '../../report/formats.ts';
import { readTrace } from '../../durable/line-coverage.ts';
import { formatSourcePage, readSources, sourcePageName } from '../../report/source-page.ts';
import { campaignValue } from '../../report/value.ts';
import { type CommandContext, exitCodes, formatJson } from '../common/command.ts';

export interface ReportOptions {
  readonly format: string;
  readonly out?: string;
  readonly known?: string;
  readonly source?: string;
}

/** Writes the report to a file, or to stdout for `--out -`; prints the name of the file. */
export async function reportCampaign(
  folder: string,
  known: readonly KnownFinding[],
  { format: name, out, source }: ReportOptions,
  { stdout }: CommandContext,
): Promise<number> {
  const names = Object.keys(reportFormats) as ReportFormatName[];
  const found = names.find((one) => one === name);
  if (found === undefined) throw new UsageError(`--format ${name}: there are ${names.join(', ')}`);
  const { extension, format } = reportFormats[found];
  if (source !== undefined && !existsSync(source)) throw new UsageError(`--source ${source}: no such folder`);
  const text = format(campaignValue(folder, known));
  if (out === '-') {
    stdout.write(text);
    return exitCodes.fine;
  }
  const file = out ?? resolve(folder, `report.${extension}`);
  await withFileErrors(file, () => writeFile(file, text));
  stdout.write(`${file}\n`);
  const trace = readTrace(folder);
  if (found === 'html' && trace !== null) {
    const page = join(dirname(file), sourcePageName);
    await withFileErrors(page, async () => writeFile(page, formatSourcePage(await readSources(trace, source ?? null))));
    stdout.write(`${page}\n`);
  }
  return exitCodes.fine;
}

/** Merges, and says what there is now. */
export async function mergeInto(
  folder: string,
  sources: readonly string[],
  { json }: { readonly json?: true },
  { stdout }: CommandContext,
): Promise<number> {
  await mergeCampaigns(folder, sources);
  const value = campaignValue(folder, []);
  if (json) {
    stdout.write(formatJson(value));
    return exitCodes.fine;
  }
  const missing = value.missingShards.length === 0 ? '' : `, without ${value.missingShards.join(', ')}`;
  stdout.write(
    `${folder}: ${value.shards.length} of ${value.campaign.shards} shards${missing}; ${value.cases} cases, ${value.hypercalls} hypercalls, ${countedBuckets(value).length} findings; stream ${value.streamHash}\n`,
  );
  return exitCodes.fine;
}
