import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compilerPackages, ensurePackages } from '../../src/system/packages/build-packages.ts';
import { loadCorpus, ownCorpusFolder } from '../../src/campaign/corpus.ts';
import { makeCase, makeStep } from '../../src/case/case.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { compileExport } from '../../src/export/c/compile.ts';
import { runInLab } from '../../src/export/verify.ts';
import { exportCase } from '../../src/export/c/write.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { eventsByStep, traceProgram } from '../../src/lab/trace.ts';
import { isLabMissing, openTestLab } from './support.ts';

const value = makeCase(
  [{ vpIndex: 0 }, { vpIndex: 65, apic: 'xapic', eoi: 'apic' }],
  [
    makeStep({ do: 'send-ipi-ex', fast: true, vector: 0x42, targets: [65] }),
    makeStep({ do: 'send-ipi', vector: 0x0f, targets: [0] }),
    makeStep({ do: 'run' }),
  ],
);

describe.skipIf(isLabMissing)('a kernel in the lab', () => {
  let lab: Lab;
  let folder: string;
  beforeAll(async () => {
    await ensurePackages(compilerPackages, { install: true, say: (line) => void process.stderr.write(`${line}\n`) });
    folder = await mkdtemp(join(tmpdir(), 'hvipi-test-'));
    lab = await openTestLab('debian:6.12', { hasPrograms: true });
  });
  afterAll(async () => {
    await lab[Symbol.asyncDispose]();
    await rm(folder, { recursive: true, force: true });
  });

  it('should pass an exported program, and fail it where it expects something else', async () => {
    const program = exportCase(value, lab.facts, 'standalone');
    const wrong = {
      ...program,
      name: 'wrong',
      text: program.text.replace('VECTORS(0x42), VECTORS', 'VECTORS(0x43), VECTORS'),
    };

    const good = await compileExport(program, folder, null);
    const bad = await compileExport(wrong, folder, null);

    expect([good.warnings, bad.warnings]).toEqual(['', '']);
    expect(await runInLab(lab, good.path)).toEqual({ verdict: 'pass', output: 'PASS' });
    expect((await runInLab(lab, bad.path)).verdict).toBe('fail');
  });

  it('should pass programs of callers and machines that are not plain', async () => {
    const names = ['cpl', 'mode-protected16', 'mode-real', 'page', 'irqchip-none', 'init-presets', 'xen-page'];
    const corpus = await loadCorpus(ownCorpusFolder());

    for (const name of names) {
      const entry = corpus.find(({ file }) => basename(file) === `send-ipi-${name}.json`)!;
      const { path, warnings } = await compileExport(exportCase(entry.value, lab.facts, 'standalone'), folder, null);

      expect([name, warnings, await runInLab(lab, path)]).toEqual([name, '', { verdict: 'pass', output: 'PASS' }]);
    }
  });

  it("should show KVM's own events of each step", async () => {
    const program = encodeCase(value);

    const traced = await traceProgram(lab, program);

    const { observation } = traced;
    const [first, second] = eventsByStep(program, traced)!;
    const names = (step: typeof first): string[] => step!.map(({ name }) => name);
    expect(observation.stopped).toBeNull();
    expect(names(first)).toEqual(
      expect.arrayContaining([
        'kvm_hv_hypercall',
        'kvm_hv_send_ipi_ex',
        'kvm_apic_accept_irq',
        'kvm_hv_hypercall_done',
      ]),
    );
    expect(names(second)).toContain('kvm_hv_send_ipi');
    expect(names(second)).not.toContain('kvm_apic_accept_irq');
  });
});
