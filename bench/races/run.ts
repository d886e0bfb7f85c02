/**
 * `npm run bench:races`: how many races show a mutant whose window is some instructions long, without any that is followed up.
 * What raises that number finds such faults sooner.
 */
import { Command } from 'commander';
import { debianSourceKernel, prepareSource } from '../../src/build/source.ts';
import { judgeObservation, prepare } from '../../src/campaign/judgement.ts';
import { generatedBatch } from '../../src/campaign/stream/batches.ts';
import { isConcurrentBatch } from '../../generators/batch.ts';
import { openLab } from '../../src/lab/lab.ts';
import { Builder } from '../mutants/build.ts';
import { positive } from '../positive.ts';
import { catalogue } from '../mutants/catalogue/catalogue.ts';

const casesOfBatch = 64;
const say = (line: string): void => void process.stderr.write(`races: ${line}\n`);

interface Options {
  readonly only: readonly string[];
  readonly batches: string;
  readonly seed: string;
}

const program = new Command('bench:races')
  .description('run concurrent batches on mutants of KVM and count the races that show them')
  .requiredOption('--only <NAME...>', 'these mutants')
  .option('--batches <N>', 'batches of 64 races for each', '8')
  .option('--seed <TEXT>', 'seed of the races', '1')
  .action(run);

async function run({ only, batches, seed }: Options): Promise<void> {
  const source = await prepareSource({ install: true, say }, debianSourceKernel);
  const builder = new Builder(source, say);
  for (const name of only) {
    const mutant = catalogue.find((one) => one.name === name);
    if (mutant === undefined) throw new RangeError(`no mutant is called ${name}`);
    const kvmModules = await builder.build(mutant);
    process.stdout.write(`${name}: ${await count(kvmModules, positive(batches), seed)}\n`);
  }
}

async function count(kvmModules: string, batches: number, seed: string): Promise<string> {
  await using lab = await openLab({ kernel: debianSourceKernel, kvmModules, cpus: 2, install: true, say });
  const startedAt = performance.now();
  const signatures = new Map<string, number>();
  let [shown, races] = [0, 0];
  for (let number = 0, done = 0; done < batches; number++) {
    if (!isConcurrentBatch(number)) continue;
    done++;
    const prepared = generatedBatch(seed, number, casesOfBatch).cases.map((value) => prepare(value, lab.facts));
    const programs = prepared.map((each) => each.program);
    const observations = await lab.run(programs, { exact: false });
    races += observations.length;
    for (const [index, observation] of observations.entries()) {
      const judgement = judgeObservation(prepared[index]!, observation);
      if (judgement.class !== 'divergence') continue;
      shown++;
      signatures.set(judgement.signature, (signatures.get(judgement.signature) ?? 0) + 1);
    }
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const names = [...signatures].map(([name, times]) => `${name} ${times}`).join(', ');
  return `${shown} of ${races} races in ${seconds.toFixed(0)} s (${names})`;
}

await program.parseAsync();
