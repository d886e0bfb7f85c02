/** What decides a campaign's cases and verdicts, worked out when it starts and compared when it goes on or is merged. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CorpusEntry } from '../campaign/corpus.ts';
import { caseId } from '../case/case.ts';
import { UsageError } from '../errors.ts';
import { shortHash } from './journal/folder.ts';
import type { CampaignIdentity } from './journal/record.ts';

/** Hash over the saved cases that run first; null when there are none. */
export function corpusHashOf(corpus: readonly CorpusEntry[]): string | null {
  return corpus.length === 0 ? null : shortHash(corpus.map(({ value }) => caseId(value)).join('\n'));
}

/** Hash over the KVM modules of a folder. */
export function modulesHashOf(folder: string | null): string | null {
  if (folder === null) return null;
  const hash = createHash('sha256');
  let names: string[];
  try {
    names = readdirSync(folder).filter((name) => /^kvm.*\.ko$/.test(name));
  } catch {
    throw new UsageError(`--kvm-modules ${folder}: no such folder`);
  }
  for (const name of names.sort()) hash.update(`${name}\n`).update(readFileSync(join(folder, name)));
  return hash.digest('hex').slice(0, 12);
}

/** Texts of what makes two campaigns different ones; where the modules lie does not. */
export function differences(left: CampaignIdentity, right: CampaignIdentity, options: { shard: boolean }): string[] {
  const names = [
    'seed',
    'contract',
    'target',
    'cpu',
    'kernel',
    'kvmModulesHash',
    'kvmOptions',
    'corpusHash',
    'runs',
  ] as const satisfies readonly (keyof CampaignIdentity)[];
  const texts = names
    .filter((name) => left[name] !== right[name])
    .map((name) => `${name} ${left[name]} and ${right[name]}`);
  const shards = [left, right].map(({ shard }) =>
    options.shard ? `${shard.index}/${shard.count}` : `i/${shard.count}`,
  );
  if (shards[0] !== shards[1]) texts.push(`shard ${shards[0]} and ${shards[1]}`);
  return texts;
}
