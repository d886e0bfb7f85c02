/** KVM on Intel, with APICv and without, in a lab that Bochs emulates. `lab install --cpu intel` builds it. */
import { existsSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judge } from '../../oracle/compare/verdict.ts';
import { predict } from '../../oracle/model.ts';
import { loadCorpus, ownCorpusFolder } from '../../src/campaign/corpus.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { KernelFailure } from '../../src/errors.ts';
import { bochsFolder } from '../../src/lab/emulator/bochs/bochs-build.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { isLabMissing, openTestLab } from './support.ts';

const isMissing = isLabMissing || !existsSync(bochsFolder());
const exact = { exact: true } as const;

describe.skipIf(isMissing).each(['enable_apicv=1', 'enable_apicv=0'])('lab with a CPU of Intel, %s', (kvmOptions) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openTestLab('debian:6.12', { cpu: 'intel', kvmOptions });
  });
  afterAll(async () => lab[Symbol.asyncDispose]());

  it('should have VMX, and APICv as it was asked for', async () => {
    expect(lab.facts).toMatchObject({ cpu: 'GenuineIntel', emulator: { name: 'bochs' } });
    const isOn = await lab.readFile('/sys/module/kvm_intel/parameters/enable_apicv');
    expect(isOn).toBe(kvmOptions.endsWith('1') ? 'Y\n' : 'N\n');
  });

  it('should agree with the model on the corpus', async () => {
    const programs = (await loadCorpus(ownCorpusFolder()))
      .map(({ value }) => encodeCase(value))
      .filter(({ machine }) => machine.schedule === null);
    const observations = await lab.run(programs, exact);
    const verdicts = programs.map((program, index) =>
      judge(program, predict(program, lab.facts), observations[index]!),
    );
    expect(verdicts.filter(({ kind }) => kind !== 'match')).toEqual([]);
    expect(verdicts.length).toBeGreaterThan(100);
  });
});

describe.skipIf(isMissing)('a kernel that ends in a lab with a CPU of Intel', () => {
  it('should be told with what it said', async () => {
    await using lab = await openTestLab('debian:6.12', { cpu: 'intel', hasPrograms: true });
    const panic = lab.exec(['sh', '-c', 'echo c > /proc/sysrq-trigger']);
    await expect(panic).rejects.toThrow(KernelFailure);
  });
});
