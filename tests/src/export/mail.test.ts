import { describe, expect, it } from 'vitest';
import { encodeCase } from '../../../src/program/encode.ts';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { judgeObservation, prepare } from '../../../src/campaign/judgement.ts';
import { viewObservation } from '../../../src/campaign/text/view.ts';
import { openModelExecutor } from '../../../src/model/model-executor.ts';
import type { Evidence } from '../../../src/export/evidence.ts';
import { formatMail } from '../../../src/export/mail.ts';
import { modelFacts } from './facts.ts';

const value = makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi-ex', vector: 0xfe, format: 1n })]);

describe('formatMail', () => {
  it("should say in the interface's words what is wrong, and what there is to see it with", async () => {
    const evidence = await evidenceOf('all-needs-banks');

    const mail = formatMail(value, evidence, null);

    expect(mail).toContain(
      'Subject: [BUG] KVM: x86: hyper-v: HvCallSendSyntheticClusterIpiEx: IRR of vCPU 0: expected 0xfe pending, got nothing pending\n',
    );
    expect(mail).toContain("(hvipi's name for it: divergence deliver-to-all/missing-interrupt)");
    expect(mail).toContain('Machine\n  vCPU 0  VP 0  apic x2apic');
    expect(mail).toContain('  3 of 3 runs, each in a fresh VM');
    expect(mail).toContain('ran on\n  Linux version 6.12');
  });

  it('should name a failure of the kernel by what it is and where', async () => {
    const signature =
      'BUG: kernel NULL pointer dereference; RIP __apic_accept_irq; kvm_hv_send_ipi_to_many < kvm_hv_hypercall';
    const judgement = { class: 'oops', signature } as const;

    const mail = formatMail(value, { ...(await evidenceOf(null)), judgement, observed: null, console: 'Oops' }, null);

    expect(mail).toContain('hyper-v: oops BUG: kernel NULL pointer dereference; RIP __apic_accept_irq\n');
    expect(mail).toContain('Console\n  Oops');
    expect(mail).not.toContain("hvipi's name for it");
  });

  it('should not call it a bug where there is none', async () => {
    const mail = formatMail(value, await evidenceOf(null), null);

    expect(mail).toContain('hyper-v: nothing wrong');
    expect(mail).toContain('KVM does as expected.');
  });
});

async function evidenceOf(mutant: string | null): Promise<Evidence> {
  const executor = openModelExecutor(mutant ?? undefined);
  const [observation] = await executor.run([encodeCase(value)], { exact: true });
  const prepared = prepare(value, modelFacts);
  return {
    prepared,
    kernel: {
      spec: 'debian:6.12',
      release: '6.12',
      imageHash: 'i',
      kvmModules: null,
      moduleHashes: {},
      codeHashes: {},
    },
    kernelVersion: 'Linux version 6.12',
    configHash: null,
    moduleCompiler: null,
    cpu: 'model',
    qemu: 'QEMU 7',
    tool: 'hvipi 0',
    judgement: judgeObservation(prepared, observation!),
    observed: viewObservation(observation!),
    console: null,
    shown: 3,
    times: 3,
  };
}
