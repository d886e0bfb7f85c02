/**
 * `npm run bench:broken-kvm`: one campaign on a real kernel whose KVM oopses, hangs or kills the process that runs the
 * guest, each at one vector, with a disk that runs full meanwhile; as root. The model tells beforehand which cases make
 * such a call, so every failure that the campaign counts must be one of them, and none may be left out.
 */
import { join } from 'node:path';
import { kvmRules } from '../../oracle/call/rules.ts';
import { predict } from '../../oracle/model.ts';
import { batchSize, generatedBatch } from '../../src/campaign/stream/batches.ts';
import { agentDeath } from '../../src/campaign/target/session.ts';
import { defaultShrinkLimits } from '../../src/campaign/findings/shrink.ts';
import { parseTarget } from '../../src/campaign/target/target.ts';
import type { Case } from '../../src/case/case.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { combineJournals } from '../../src/durable/combine.ts';
import { readJournals } from '../../src/durable/journal/folder.ts';
import { noLimits } from '../../src/durable/limits.ts';
import { runDurable } from '../../src/durable/run.ts';
import { Store } from '../../src/durable/journal/store.ts';
import type { TargetFacts } from '../../src/executor/facts.ts';
import { debianSourceKernel, prepareSource } from '../../src/build/source.ts';
import { Builder } from '../mutants/build.ts';
import { brokenKvm, failingVectors } from './broken-kvm.ts';
import { SmallDisk } from './full-disk.ts';

type Trouble = keyof typeof failingVectors;
const wanted: Readonly<Record<Trouble, number>> = { oops: 20, hang: 10, agentDeath: 10 };
const names = Object.keys(wanted) as Trouble[];
const seed = 'broken-kvm';
/** Rules of the calls that get as far as the edit: behind all checks, also where nobody is there to receive. */
const sendingRules = new Set(kvmRules.filter(({ reach }) => reach !== 'nobody').map(({ name }) => name));
const say = (line: string): void => void process.stderr.write(`broken-kvm: ${line}\n`);

const source = await prepareSource({ install: true, say });
const kvmModules = await new Builder(source, say).build(brokenKvm);
const target = parseTarget({ target: 'lab', kernel: debianSourceKernel, kvmModules, install: true, say });
const { batches, planted } = plant(await factsOfTarget());
say(`${batches} batches hold ${names.map((name) => `${planted[name]} ${name}`).join(', ')}`);

using disk = new SmallDisk(32);
const folder = join(disk.path, 'campaign');
await run();
process.exitCode = report();

async function factsOfTarget(): Promise<TargetFacts> {
  await using lab = await target.open(new AbortController().signal);
  return lab.facts;
}

/** As many batches as hold the wanted numbers, and how many cases of each kind are in them. */
function plant(facts: TargetFacts): { batches: number; planted: Record<Trouble, number> } {
  const counts: Record<Trouble, number> = { oops: 0, hang: 0, agentDeath: 0 };
  let number = 0;
  while (names.some((name) => counts[name] < wanted[name])) {
    for (const value of generatedBatch(seed, number, batchSize).cases) {
      const trouble = troubleOf(value, facts);
      if (trouble !== null) counts[trouble]++;
    }
    number++;
  }
  return { batches: number, planted: counts };
}

/** What the first call of a case that fails does to the kernel. */
function troubleOf(value: Case, facts: TargetFacts): Trouble | null {
  for (const { rule, call } of predict(encodeCase(value), facts).steps) {
    if (call === null || !sendingRules.has(rule)) continue;
    const trouble = names.find((name) => failingVectors[name] === call.vector);
    if (trouble !== undefined) return trouble;
  }
  return null;
}

async function run(): Promise<void> {
  const shard = { index: 0, count: 1 };
  const identity = {
    kernel: debianSourceKernel,
    kvmModules,
    kvmModulesHash: null,
    kvmOptions: null,
    cpu: 'amd',
    corpusHash: null,
  };
  const runs = batches * batchSize;
  const campaign = { seed, contract: 'kvm', target: 'lab', ...identity, runs, shard } as const;
  const onDiskFull = (line: string): void => {
    say(line);
    disk.complain();
  };
  using store = await Store.create({ folder, say: onDiskFull }, '0123456789ab', campaign, noLimits);
  let isFilled = false;
  const fillOnce = (): void => {
    if (!isFilled) disk.fill();
    isFilled = true;
  };
  const settings = {
    store,
    tornBytes: 0,
    target,
    corpus: [],
    limits: noLimits,
    known: [],
    shrink: defaultShrinkLimits,
  };
  const hooks = {
    say,
    onProgress: ({ cases }: { cases: number }) => say(`${cases} of ${runs} cases`),
    onFinding: ({ class: kind, signature }: { class: string; signature: string }) => {
      say(`FINDING ${kind} ${signature}`);
      fillOnce();
    },
  };
  await runDurable({ ...settings, ...hooks }, new AbortController().signal);
}

/** @returns the exit code. */
function report(): number {
  const { buckets, cases, deaths } = combineJournals(folder, readJournals(folder));
  const blamed: Record<Trouble | 'other', number> = { oops: 0, hang: 0, agentDeath: 0, other: 0 };
  for (const { class: kind, signature, stable, hits } of buckets) {
    const isAgent = signature.startsWith(agentDeath);
    const name = !stable ? 'other' : isAgent ? 'agentDeath' : kind === 'oops' || kind === 'hang' ? kind : 'other';
    blamed[name] += hits;
  }
  const isRight =
    names.every((name) => blamed[name] === planted[name]) &&
    blamed.other === 0 &&
    disk.wasFull &&
    cases === batches * batchSize;
  const list = buckets.map(({ class: kind, signature, stable, hits }) => ({ class: kind, signature, stable, hits }));
  const result = { cases, planted, blamed, deaths: deaths.length, diskWasFull: disk.wasFull, isRight, buckets: list };
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  return isRight ? 0 : 1;
}
