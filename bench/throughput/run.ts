/**
 * `npm run bench`: how fast hypercalls are checked, as ratios of what the emulated hardware can do, all from one run.
 * Each figure is the median of five rounds after two that do not count. The computers that this runs on are noisy, so
 * quote ratios.
 *
 *   npm run bench                     everything, some ten minutes
 *   npm run bench -- host lab         some sections: host, lab, migration, series, jobs, start
 *   npm run bench -- memory           memory over an hour; only when it is asked for
 *   npm run bench -- memory MINUTES=5 over less
 *   npm run bench -- CPU=intel lab    a lab that Bochs emulates
 *   npm run bench -- OUT=DIR          where bench.json and bench.html go (default: reports)
 *   npm run bench -- lab KVM=npt=0    the labs with module options, as --kvm-options takes them
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { caseLimits } from '../../src/case/limits.ts';
import { ExecutorPool } from '../../src/executor/executor-pool.ts';
import { type LabCpu, parseLabCpu } from '../../src/lab/lab-cpu.ts';
import { type Lab, openLab } from '../../src/lab/lab.ts';
import type { Figure, Series } from './figure.ts';
import { hostFigures, shrinkFigures } from './host-figures.ts';
import { callsOfJobs, endToEnd, memoryOver, migrations, rawLoop, runAlone, seriesOf } from './lab-figures.ts';
import { formatFigure, formatMeasured, pageOf } from './page.ts';
import { startFigures } from './start-figures.ts';
import { type Workload, workloads } from './workload.ts';

const kernel = 'debian:6.12';
const sections = ['host', 'lab', 'migration', 'series', 'jobs', 'start', 'memory'] as const;
type Section = (typeof sections)[number];
const ordered = (Object.keys(workloads) as Workload[]).filter((workload) => workload !== 'concurrent');
const migrated: readonly Workload[] = ['pending', 'counted, none halts'];

const say = (line: string): void => void process.stderr.write(`${line}\n`);

interface Options {
  readonly has: (section: Section) => boolean;
  readonly out: string;
  readonly minutes: number;
  readonly kvmOptions: string;
  readonly cpu: LabCpu;
}

/** What is asked for, or what is wrong with it. */
function readOptions(args: readonly string[]): Options | string {
  const wanted = args.filter((text) => !text.includes('='));
  const strange = wanted.find((text) => !sections.some((section) => section === text));
  if (strange !== undefined) return `no section ${strange}; there are ${sections.join(', ')}`;
  const given = (name: string) => args.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1);
  const minutes = Number(given('MINUTES') ?? 60);
  if (!(minutes > 0)) return `MINUTES=${given('MINUTES')}: not a number above 0`;
  const has = (section: Section) => wanted.includes(section) || (wanted.length === 0 && section !== 'memory');
  const cpu = parseLabCpu(given('CPU') ?? 'amd');
  return { has, out: given('OUT') ?? 'reports', minutes, cpu, kvmOptions: given('KVM') ?? '' };
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (typeof options === 'string') {
    say(options);
    process.exitCode = 2;
    return;
  }
  const { has, out, minutes, cpu, kvmOptions } = options;
  const open = (cpus: 1 | 2 = 1) => openLab({ cpu, kernel, install: true, say, kvmOptions, cpus });
  const before = loadavg()[0]!;
  const figures: Figure[] = [];
  const series: Series[] = [];
  const note = (...more: readonly (readonly Figure[])[]): void => {
    figures.push(...more.flat());
    for (const figure of more.flat()) say(formatFigure(figure));
  };
  let release = kernel;
  if (has('lab') || has('migration') || has('series')) {
    await using lab = await open();
    const clock = (): number => lab.cpuSeconds;
    release = lab.facts.kernelRelease;
    note(await rawLoop(lab, clock));
    for (const workload of has('lab') ? ordered : [])
      note(await runAlone(lab, clock, workload), await endToEnd(lab, clock, workload));
    if (has('migration')) for (const workload of migrated) note(await migrations(lab, clock, workload));
    if (has('series')) series.push(...(await seriesOf(lab, clock, caseLimits.vcpus)));
  }
  if (has('lab')) {
    await using lab = await open(2);
    const clock = (): number => lab.cpuSeconds;
    note(await runAlone(lab, clock, 'concurrent'), await endToEnd(lab, clock, 'concurrent'));
  }
  for (const jobs of has('jobs') ? [1, 2] : []) {
    const labs: Lab[] = [];
    await using pool = await ExecutorPool.open(jobs, async () => {
      const lab = await open();
      labs.push(lab);
      return lab;
    });
    // Of one lab: both work all the time.
    const clock = (): number => labs.reduce((sum, lab) => sum + lab.cpuSeconds, 0) / labs.length;
    const howMany = jobs === 1 ? '1 lab' : `${jobs} labs`;
    release = labs[0]!.facts.kernelRelease;
    note(
      await rawLoop(pool, clock, `raw guest loop, ${howMany}`),
      await endToEnd(pool, clock, 'pending', { name: `pending, ${howMany}`, calls: callsOfJobs }),
    );
  }
  if (has('memory')) {
    await using lab = await open();
    release = lab.facts.kernelRelease;
    note(await memoryOver(lab, 60 * minutes));
  }
  if (has('host')) note(await hostFigures(), await shrinkFigures());
  if (has('start')) note(await startFigures(kernel));
  const measured = {
    schema: 'hvipi/bench/1',
    date: new Date().toISOString(),
    kernel: release,
    node: process.version,
    load: [before, loadavg()[0]!],
    figures,
    series,
  } as const;
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, 'bench.json'), `${JSON.stringify(measured, null, 2)}\n`);
  writeFileSync(join(out, 'bench.html'), pageOf(measured));
  process.stdout.write(formatMeasured(measured));
  say(`written: ${join(out, 'bench.json')}, ${join(out, 'bench.html')}`);
}

await main();
