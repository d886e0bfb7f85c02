import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawBatch, isConcurrentBatch } from '../../generators/batch.ts';
import { caseArbitrary } from '../../generators/case.ts';
import { platformPlan } from '../../generators/machine/platform.ts';
import { usualSwarm } from '../generators/usual-swarm.ts';
import { predict } from '../../oracle/model.ts';
import { judge } from '../../oracle/compare/verdict.ts';
import { parseCase } from '../../src/case/case.ts';
import { vmmDeeds } from '../../src/case/steps/vmm.ts';
import { encodeCase } from '../../src/program/encode.ts';
import type { Observation } from '../../src/program/observation.ts';
import type { Program } from '../../src/program/program.ts';
import type { RunOptions } from '../../src/executor/executor.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { platformKey } from '../../src/machine/vm/platform.ts';
import { isLabMissing, openTestLab } from './support.ts';
import { testedKernels } from './tested-kernels.ts';

const corpusFolder = join(import.meta.dirname, '..', '..', 'corpus');
const corpus = readdirSync(corpusFolder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.json'))
  .map((name) => ({ name, program: encodeCase(parseCase(readFileSync(join(corpusFolder, name), 'utf8'))) }))
  // Concurrent ones are those of concurrent.test.ts.
  .filter(({ program }) => program.machine.schedule === null);

/** Programs of some batches of a fixed seed, without those that are slow because vCPUs halt. */
function drawPrograms(seed: string, batches: number, size: number): Program[] {
  return Array.from({ length: batches }, (_, batch) => drawBatch(seed, batch, size).cases)
    .flat()
    .map(encodeCase)
    .filter(({ machine, vcpus }) => machine.schedule === null && vcpus.every((vcpu) => vcpu.idle !== 'halted'));
}

/** Programs of several platforms, mixed, with calls from every mode, pages that move and APICs that change. */
function drawSpecialPrograms(seed: number, size: number): Program[] {
  const rare = {
    entryPercent: 30,
    compatPercent: 10,
    changePercent: 25,
    noGuestOsIdPercent: 20,
    haltedPerMille: 0,
    stepCountMax: 12,
  };
  const drawn = fc.sample(platformPlan, { seed, numRuns: 12 }).map((platform, place) => {
    const arbitrary = caseArbitrary({ ...usualSwarm, ...rare, platform });
    return fc.sample(arbitrary, { seed: seed + place, numRuns: size });
  });
  return Array.from({ length: size }, (_, index) => drawn.map((cases) => cases[index]!))
    .flat()
    .map(encodeCase);
}

describe.skipIf(isLabMissing).each(testedKernels)('KVM of %s', (kernel) => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await openTestLab(kernel);
  });

  afterAll(async () => lab[Symbol.asyncDispose]());

  /** Names of the programs that do not do what the model says, with the differences. */
  function divergences(programs: readonly Program[], observations: readonly Observation[]): unknown[] {
    return programs.flatMap((program, index) => {
      const verdict = judge(program, predict(program, lab.facts), observations[index]!);
      return verdict.kind === 'match' ? [] : [{ index, ...verdict }];
    });
  }

  /** Fresh VMs take their time, and the lab must not be silent for long: a few programs in a piece. */
  async function runInParts(programs: readonly Program[], options: RunOptions): Promise<Observation[]> {
    const observations: Observation[] = [];
    for (let start = 0; start < programs.length; start += 16) {
      observations.push(...(await lab.run(programs.slice(start, start + 16), options)));
    }
    return observations;
  }

  it('should be the kernel that was asked for', () => {
    const [, release] = kernel.split(':');
    expect(lab.facts.kernelRelease.startsWith(`${release}.`)).toBe(true);
    expect(lab.facts.cpu).toBe('AuthenticAMD');
    expect(lab.facts.kvmMaxVcpus).toBe(kernel === 'debian:6.1' ? 1024 : 4096);
    expect(lab.facts.irqchips).toEqual(['kernel', 'split', 'none']);
    expect(lab.facts.xen).toBe(kernel !== 'debian:6.1');
  });

  it.each([true, false])('should do what the model says of the corpus (exact: %s)', async (exact) => {
    const programs = corpus.map(({ program }) => program);

    const observations = await runInParts(programs, { exact });

    expect(divergences(programs, observations)).toEqual([]);
  });

  it("should run the receivers' handlers of the hyperv_ipi selftest 8 and 6 times", async () => {
    const { program } = corpus.find(({ name }) => name === 'selftest-hyperv-ipi.json')!;

    const [observation] = await lab.run([program], { exact: true });

    const counts = [0, 1, 2].map((vcpu) => observation!.steps.flatMap((step) => step.arrivals[vcpu]!).length);
    expect(counts).toEqual([0, 8, 6]);
    expect(observation!.steps.map((step) => step.result)).toEqual(Array.from({ length: 10 }, () => 0n));
  });

  it('should find nothing in 2,000 drawn cases', async () => {
    // Those that race are the matter of concurrent.test.ts: they want two CPUs.
    const batches = Array.from({ length: 34 }, (_, batch) => batch).filter((batch) => !isConcurrentBatch(batch));
    for (const batch of batches) {
      const programs = drawBatch('lab test', batch, 64).cases.map(encodeCase);
      const observations = await lab.run(programs, { exact: false });
      expect(divergences(programs, observations)).toEqual([]);
    }
  });

  it('should see the same on a used VM as on a fresh one, in any order', async () => {
    const programs = drawPrograms('fresh or used', 4, 40);

    const used = await runInParts(programs, { exact: false });
    const backwards = (await runInParts(programs.toReversed(), { exact: false })).toReversed();
    const fresh = await runInParts(programs, { exact: true });

    expect(used.map(endOf)).toEqual(fresh.map(endOf));
    expect(backwards.map(endOf)).toEqual(fresh.map(endOf));
  });

  it('should see the same when the VM migrates before each step but the first', async () => {
    const drawn = [...drawPrograms('migrate', 4, 12), ...drawSpecialPrograms(7, 3)];
    const programs = drawn.map(({ steps, ...rest }) => ({
      ...rest,
      steps: steps.flatMap((step, index) => (index === 0 ? [step] : [{ kind: 'migrate' } as const, step])),
    }));

    const few = programs.slice(0, 8);

    const used = await runInParts(programs, { exact: false });
    const fresh = await runInParts(few, { exact: true });

    expect(divergences(programs, used)).toEqual([]);
    expect(divergences(few, fresh)).toEqual([]);
  });

  it.each(vmmDeeds)('should see the same when the VMM does %s before each step', async (does) => {
    const drawn = [...drawPrograms('vmm', 2, 12), ...drawSpecialPrograms(9, 2)];
    const programs = drawn.map(({ steps, ...rest }) => ({
      ...rest,
      steps: steps.flatMap((step) => [{ kind: 'vmm', does } as const, step]),
    }));
    const few = programs.slice(0, 4);

    const used = await runInParts(programs, { exact: false });
    const fresh = await runInParts(few, { exact: true });

    expect(divergences(programs, used)).toEqual([]);
    expect(divergences(few, fresh)).toEqual([]);
  });

  it('should see the same on used and fresh VMs of special platforms, and what the model says', async () => {
    const programs = drawSpecialPrograms(42, 10);
    expect(new Set(programs.map(platformKey)).size).toBeGreaterThan(8);
    expect(new Set(programs.map(({ machine }) => machine.irqchip)).size).toBe(3);

    const used = await runInParts(programs, { exact: false });
    const backwards = (await runInParts(programs.toReversed(), { exact: false })).toReversed();
    const fresh = await runInParts(programs, { exact: true });

    expect(divergences(programs, fresh)).toEqual([]);
    expect(used.map(endOf)).toEqual(fresh.map(endOf));
    expect(backwards.map(endOf)).toEqual(fresh.map(endOf));
  });
});

/** An observation without the LAPICs after each step, which are read in exact runs only. */
function endOf(observation: Observation): Observation {
  return { ...observation, steps: observation.steps.map((step) => ({ ...step, lapics: null })) };
}
