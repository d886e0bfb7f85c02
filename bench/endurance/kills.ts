/**
 * `npm run bench:kills -- [KILLS] [RUNS]`: kills a campaign with planted findings at random moments and compares what it
 * comes to with the same campaign left alone.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import seedrandom from 'seedrandom';
import { comparable } from '../../src/durable/view/comparable.ts';
import { combineJournals } from '../../src/durable/combine.ts';
import { caseId } from '../../src/case/case.ts';
import { readJournals } from '../../src/durable/journal/folder.ts';
import { runCli } from './cli.ts';

const [kills = 100, runs = 200_000] = process.argv.slice(2).map(Number);
/** One kill in five comes while the process starts, the others until well behind the first spans. */
const killMs = { start: 2500, open: 4000 };
const mutant = 'clobbers-rbx';
const random = seedrandom('kills');
const say = (line: string): void => void process.stderr.write(`kills: ${line}\n`);

const root = mkdtempSync(join(tmpdir(), 'hvipi-kills-'));
const killed = join(root, 'killed');
const left = join(root, 'left-alone');
const start = (folder: string): string[] => {
  const settings = ['--target', `model:${mutant}`, '--seed', 'kills', '--runs', `${runs}`];
  return ['campaign', 'start', folder, '--or-resume', ...settings];
};

let hits = 0;
for (let attempt = 1; hits < kills; attempt++) {
  const from = random() < 0.2 ? 'start' : 'open';
  const ended = await runCli(start(killed), { from, ms: random() * killMs[from] });
  if (ended.signal === 'SIGKILL') hits++;
  else if (ended.code === 1) throw new Error(`the campaign ended after ${hits} kills; give it more than ${runs} cases`);
  else throw new Error(`attempt ${attempt} ended with ${ended.code}: ${ended.stderr}`);
  if (hits % 10 === 0) say(`${hits} kills`);
}
await runCli(start(killed), null);
const torn = readJournals(killed)[0]!.records.filter((record) => record.type === 'open' && record.tornBytes > 0).length;
say('the same campaign, left alone');
await runCli(start(left), null);

const [one, other] = [comparable(killed), comparable(left)];
const isEqual = isDeepStrictEqual(one, other) && isDeepStrictEqual(smallestCases(killed), smallestCases(left));
const { opens } = combineJournals(killed, readJournals(killed)).journals[0]!;
const result = { kills: hits, opens, torn, isEqual, ...one, pairs: Object.keys(one.pairs).length };
process.stdout.write(`${JSON.stringify({ ...result, deliveries: Object.keys(one.deliveries).length }, null, 2)}\n`);
if (isEqual) rmSync(root, { recursive: true });
else say(`they differ, see ${root}`);
process.exitCode = isEqual ? 0 : 1;

/** The smallest case of each bucket, by bucket. */
function smallestCases(folder: string): Record<string, string | null> {
  const { buckets } = combineJournals(folder, readJournals(folder));
  return Object.fromEntries(buckets.map(({ id, finding }) => [id, finding === null ? null : caseId(finding.case)]));
}
