/**
 * `npm run bench:troubles`: one campaign on the model with 20 oopses, 10 hangs, 10 deaths of the hand, each by a case
 * that is known beforehand, and a disk that runs full; as root, because the disk is a small tmpfs. Says whether each
 * was blamed on the case that caused it.
 */
import { join } from 'node:path';
import { drawBatch } from '../../generators/batch.ts';
import { defaultShrinkLimits } from '../../src/campaign/findings/shrink.ts';
import type { Target } from '../../src/campaign/target/target.ts';
import { type Case, caseId } from '../../src/case/case.ts';
import { encodeCase } from '../../src/program/encode.ts';
import type { Program } from '../../src/program/program.ts';
import { bucketKind } from '../../src/durable/bucket.ts';
import { combineJournals } from '../../src/durable/combine.ts';
import { readJournals } from '../../src/durable/journal/folder.ts';
import { noLimits } from '../../src/durable/limits.ts';
import { runDurable } from '../../src/durable/run.ts';
import { Store } from '../../src/durable/journal/store.ts';
import type { Executor } from '../../src/executor/executor.ts';
import { InfrastructureError, KernelFailure } from '../../src/errors.ts';
import { modelFacts, openModelExecutor } from '../../src/model/model-executor.ts';
import { SmallDisk } from './full-disk.ts';

const seed = 'troubles';
const batches = 60;
const kinds = ['oops', 'hang', 'agent'] as const;
const numbers = { oops: 20, hang: 10, agent: 10 } as const;
const say = (line: string): void => void process.stderr.write(`troubles: ${line}\n`);

interface Trouble {
  readonly kind: (typeof kinds)[number];
  /** Names the trouble in the console and in the hand's last words, without digits, which signatures drop. */
  readonly name: string;
  readonly value: Case;
}

/** One case of each of the first batches, at different places. */
const troubles: Trouble[] = kinds
  .flatMap((kind) => Array.from({ length: numbers[kind] }, (_, index) => ({ kind, name: `${kind}-${letters(index)}` })))
  .map((trouble, batch) => ({ ...trouble, value: drawBatch(seed, batch, 64).cases[(batch * 7) % 64]! }));
const byProgram = new Map(troubles.map((trouble) => [textOf(encodeCase(trouble.value)), trouble]));

using disk = new SmallDisk(4);
const campaignFolder = join(disk.path, 'campaign');
await runTroubled(campaignFolder);
process.exitCode = report(campaignFolder);

async function runTroubled(folder: string): Promise<void> {
  const shard = { index: 0, count: 1 };
  const none = { kernel: null, kvmModules: null, kvmModulesHash: null, kvmOptions: null, cpu: 'amd', corpusHash: null };
  const campaign = { seed, contract: 'kvm', target: 'model', ...none, runs: batches * 64, shard } as const;
  using store = await Store.create({ folder, say: onDiskFull }, '0123456789ab', campaign, noLimits);
  let fills = 0;
  const options = {
    store,
    tornBytes: 0,
    target: troubledTarget(),
    corpus: [],
    limits: noLimits,
    known: [],
    say: () => undefined,
  };
  const hooks = {
    onProgress: () => undefined,
    onFinding: () => {
      // In the middle of everything, when there is something to be lost.
      if (++fills === 15) disk.fill();
    },
  };
  // The smallest case of these troubles is the planted one: looking for a smaller one is a waste of time.
  const shrink = { ...defaultShrinkLimits, attempts: 5 };
  await runDurable({ ...options, ...hooks, shrink }, new AbortController().signal);
}

function onDiskFull(line: string): void {
  say(line);
  disk.complain();
}

function troubledTarget(): Target {
  const open = (): Promise<Executor> => {
    const model = openModelExecutor();
    const run: Executor['run'] = (programs, options) => {
      const trouble = programs.map((program) => byProgram.get(textOf(program))).find((found) => found !== undefined);
      return trouble === undefined ? model.run(programs, options) : Promise.reject(errorOf(trouble));
    };
    return Promise.resolve({ facts: modelFacts, run, [Symbol.asyncDispose]: () => Promise.resolve() });
  };
  return { name: 'troubled', replayArguments: [], open };
}

function errorOf({ kind, name }: Trouble): Error {
  if (kind === 'agent') return new InfrastructureError(`the agent ended: ${name}`);
  return new KernelFailure(kind, `BUG: ${name}`, `BUG: ${name}\nRIP: ${name}\n`);
}

/** @returns the exit code. */
function report(folder: string): number {
  const { buckets, cases, deaths } = combineJournals(folder, readJournals(folder));
  const rows = kinds.map((kind) => {
    const right = troubles.filter((trouble) => {
      const bucket = buckets.find(({ signature }) => signature.includes(trouble.name));
      const expected = kind === 'agent' ? 'trouble' : 'finding';
      return trouble.kind === kind && bucket?.case === caseId(trouble.value) && bucketKind(bucket, null) === expected;
    });
    return [kind, { planted: numbers[kind], blamedOnTheRightCase: right.length }] as const;
  });
  const isComplete = rows.every(([, row]) => row.planted === row.blamedOnTheRightCase);
  const isRight = isComplete && buckets.length === troubles.length && disk.wasFull && cases === batches * 64;
  const result = {
    cases,
    buckets: buckets.length,
    deaths: deaths.length,
    diskWasFull: disk.wasFull,
    ...Object.fromEntries(rows),
    isRight,
  };
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  return isRight ? 0 : 1;
}

function textOf(program: Program): string {
  return JSON.stringify(program, (_, field: unknown) => (typeof field === 'bigint' ? `${field}` : field));
}

/** 0 as `aa`, 27 as `bb`. */
function letters(index: number): string {
  return [Math.floor(index / 26), index % 26].map((digit) => String.fromCharCode(97 + digit)).join('');
}
