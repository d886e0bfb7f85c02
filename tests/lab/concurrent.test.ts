/** Concurrent cases on the real KVM of a lab with two CPUs, and parameters of its modules. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drawBatch, isConcurrentBatch } from '../../generators/batch.ts';
import { isProblem, judgeObservation, prepare } from '../../src/campaign/judgement.ts';
import { disagreements, twinsOf } from '../../src/campaign/tiers.ts';
import { loadCorpus, ownCorpusFolder } from '../../src/campaign/corpus.ts';
import type { Case } from '../../src/case/case.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { UsageError } from '../../src/errors.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { isLabMissing, openTestLab } from './support.ts';
import { testedKernels } from './tested-kernels.ts';

const casesOfBatch = 24;
/** The number of a batch of concurrent cases. */
const batch = [...Array(100).keys()].find(isConcurrentBatch)!;

describe.skipIf(isLabMissing).each(testedKernels)('concurrent cases on %s', (kernel) => {
  let lab: Lab;
  const drawn = drawBatch('races', batch, casesOfBatch).cases;

  beforeAll(async () => {
    lab = await openTestLab(kernel, { cpus: 2, kvmOptions: 'halt_poll_ns=0', hasPrograms: true });
  });
  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
  });

  async function problemsOf(values: readonly Case[], exact: boolean): Promise<string[]> {
    const prepared = values.map((value) => prepare(value, lab.facts));
    const observations = await lab.run(
      prepared.map(({ program }) => program),
      { exact },
    );
    return prepared.flatMap((one, index) => {
      const judgement = judgeObservation(one, observations[index]!);
      return isProblem(judgement) ? [`case ${index}: ${judgement.signature}`] : [];
    });
  }

  it('should have two CPUs, and the parameters that were asked for', async () => {
    expect((await lab.shellOutput('nproc')).trim()).toBe('2');
    expect(lab.facts.kvmOptions).toBe('halt_poll_ns=0');
  });

  it.each([true, false])('should do what the model permits with saved and drawn cases, exact %s', async (exact) => {
    const saved = (await loadCorpus(ownCorpusFolder())).map(({ value }) => value);
    const concurrent = saved.filter(({ machine }) => machine.schedule !== null);
    expect(concurrent.length).toBeGreaterThanOrEqual(4);
    expect(await problemsOf([...concurrent, ...drawn], exact)).toEqual([]);
  });

  it('should agree with the same cases counted and pending', async () => {
    const pairs = drawn.flatMap((value) => {
      const twins = twinsOf(value);
      return twins?.pending == null ? [] : [{ value, cases: [value, twins.counted, twins.pending] }];
    });
    expect(pairs.length).toBeGreaterThan(5);
    const observations = await lab.run(
      pairs.flatMap(({ cases }) => cases.map(encodeCase)),
      { exact: false },
    );
    for (const [index, { value }] of pairs.entries()) {
      const [concurrent, counted, pending] = observations.slice(3 * index, 3 * index + 3);
      expect(disagreements(value, concurrent!, counted!, pending!)).toEqual([]);
    }
  });
});

describe.skipIf(isLabMissing)('--kvm-options', () => {
  it('should refuse a parameter that no module has, before anything boots', async () => {
    const opening = openTestLab('debian:6.12', { kvmOptions: 'halt_pol_ns=0' });
    await expect(opening).rejects.toThrow(UsageError);
    await expect(opening).rejects.toThrow(/halt_pol_ns=0: no KVM module .* have .*halt_poll_ns, /);
  });
});
