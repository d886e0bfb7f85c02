import { describe, expect, it } from 'vitest';
import { makeCase, makeStep } from '../../../../src/case/case.ts';
import type { TargetFacts } from '../../../../src/executor/facts.ts';
import { exportCase, exportForms, programOrNull } from '../../../../src/export/c/write.ts';
import { modelFacts } from '../facts.ts';

const facts: TargetFacts = modelFacts;
const toVp1 = makeCase(
  [{ vpIndex: 0 }, { vpIndex: 1 }],
  [makeStep({ do: 'send-ipi-ex', fast: true, vector: 0x42, targets: [1], variableHeader: 3 }), makeStep({ do: 'run' })],
);

describe.each(exportForms)('exportCase as %s', (form) => {
  it('should write named constants, the expectation in words, and a call of each step', () => {
    const { text, name } = exportCase(toVp1, facts, form);

    expect(text).toContain('HVCALL_SEND_IPI_EX | HV_HYPERCALL_FAST_BIT | 3ull << HV_HYPERCALL_VARHEAD_OFFSET');
    expect(text).toContain('Expected: HV_STATUS_INVALID_HYPERCALL_INPUT (rule "bank-count-mismatch"');
    expect(text).toContain('Nobody receives anything.');
    expect(text).toContain('expect_result(HV_STATUS_INVALID_HYPERCALL_INPUT);');
    expect(text).toContain('expect_handlers(1, NOTHING);');
    expect(text).toMatch(/step = 2;\n\tstep_2\(\);/);
    expect(text).toContain(name);
    expect(text).not.toMatch(/@\w+@|\/\*\[/);
  });

  it('should not let a remark end its comment', () => {
    const { text } = exportCase({ ...toVp1, why: 'evil */ int x; /* @machine@' }, facts, form);

    expect(text).toContain('evil * / int x;');
  });

  it('should say what a vCPU that is reached has', () => {
    const reached = makeCase(
      [{ vpIndex: 0 }, { vpIndex: 65 }],
      [makeStep({ do: 'send-ipi-ex', vector: 0xfe, targets: [65] })],
    );

    const { text } = exportCase(reached, facts, form);

    expect(text).toContain('vCPU 1 (VP index 65) receives it');
    expect(text).toContain('expect_lapic(1, VECTORS(0xfe), VECTORS(0xfe), NOTHING);');
    expect(text).toContain('put_block(ARENA, block, 96);');
  });

  it('should make calls of another mode with all registers set, and name those that change', () => {
    const page = 0xf0000n;
    const value = makeCase(
      [{ vpIndex: 0 }],
      [
        makeStep({ do: 'write-msr', msr: 'hypercall', value: page | 1n }),
        makeStep({ do: 'send-ipi', mode: 'compat', page, fast: true, vector: 0x42, targets: [0] }),
        makeStep({ do: 'send-ipi', mode: 'protected32', cpl: 3, fast: true, vector: 0x42, targets: [0] }),
      ],
    );

    const { text } = exportCase(value, facts, form);

    expect(text).toContain('expect_msr_write(0, HV_X64_MSR_HYPERCALL, (ARENA + 0x10000) | 0x1, 1);');
    expect(text).toContain('expect_page(ARENA + 0x10000, 0);');
    expect(text).toContain('enter(0, (struct entry){ .mode = COMPAT, .page = ARENA + 0x10000 }, HVCALL_SEND_IPI');
    expect(text).toContain('expect_changed(rdx, 0x0);');
    expect(text).toContain('enter(0, (struct entry){ .mode = PROTECTED32, .cpl = 3 }');
    expect(text).toContain('expect_exception(6);');
    expect(text).toContain('static void enter(');
    // The plain way to call and what runs handlers are left out.
    expect(text).not.toContain('static void call(');
    expect(text).not.toContain('static void expect_handlers(');
  });

  it('should make the machine that the case says', () => {
    const value = makeCase(
      [
        { vpIndex: 7, vcpuId: 9, lacks: ['xmm-input'], enforced: true },
        { vpIndex: 1, idle: 'init-received', tpr: 3, irr: [0x30], isr: [0x51] },
      ],
      [
        makeStep({ do: 'send-ipi', fast: true, vector: 0x42, targets: [1] }),
        makeStep({ do: 'set-apic', vcpu: 1, apic: 'hardware-disabled' }),
        makeStep({ do: 'init', vcpu: 1 }),
        makeStep({ do: 'run' }),
      ],
    );

    const { text } = exportCase(value, facts, form);

    expect(text).toContain('.id = 9, .lacks = NO_XMM_INPUT, .is_enforced = 1 }');
    expect(text).toContain('.mp_state = KVM_MP_STATE_INIT_RECEIVED, .tpr = 0x30, .irr = { 1, { 0x30 } }');
    expect(text).toContain('expect_lapic(1, VECTORS(0x42, 0x30), VECTORS(0x42), VECTORS(0x51));');
    expect(text).toContain('change_apic(1, HARDWARE_DISABLED);');
    expect(text).toContain('send_init(1);');
    // It waits for SIPI and never comes back.
    expect(text).not.toContain('expect_handlers(1,');
    expect(text).not.toContain('static void enter(');
  });

  it('should leave out LAPICs where the VMM has them, and Xen only where it is', () => {
    const none = makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi', targets: [0] })], { irqchip: 'none' });
    const xen = makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi', targets: [0] })], { xen: true, guestOsId: 0n });

    expect(exportCase(none, facts, form).text).not.toMatch(/expect_lapic|KVM_CREATE_IRQCHIP|vm_create_irqchip/);
    expect(exportCase(none, facts, form).text).not.toContain('KVM_XEN_HVM_CONFIG');
    expect(exportCase(xen, facts, form).text).toContain('KVM_XEN_HVM_CONFIG, &xen');
    expect(exportCase(xen, facts, form).text).toContain('expect_exit(KVM_EXIT_XEN);');
    expect(exportCase(xen, facts, form).text).not.toContain('GUEST_OS_ID, GUEST_OS_ID');
  });

  it('should refuse what a C program cannot show, by its name', () => {
    const halted = makeCase([{ vpIndex: 0, idle: 'halted' }], [makeStep({ do: 'send-ipi', targets: [0] })]);

    expect(() => exportCase(halted, facts, form)).toThrow(
      'export: machine.vcpus[0].idle: a C program cannot show this yet',
    );
    expect(programOrNull(halted, facts, form)).toBeNull();
    const call = [makeStep({ do: 'send-ipi', targets: [0] })];
    const nine = Array.from({ length: 9 }, () => ({}));
    expect(() => exportCase(makeCase(nine, call), facts, form)).toThrow(
      'export: machine.vcpus: 9 vCPUs are more than 8',
    );
    expect(() => exportCase(makeCase([{}, { vcpuId: 255 }], call), facts, form)).toThrow(
      'export: machine.vcpus[1].vcpuId: a C program cannot show an APIC ID above 254',
    );
  });
});

describe('a selftest', () => {
  it('should refuse handlers with a split irqchip, which a standalone program can show', () => {
    const value = makeCase([{ vpIndex: 0 }], [makeStep({ do: 'run' })], { irqchip: 'split' });

    expect(() => exportCase(value, facts, 'selftest')).toThrow(
      'export: machine.irqchip: a selftest cannot show a "run" step with split; standalone can',
    );
    expect(programOrNull(value, facts, 'standalone')).not.toBeNull();
  });
});
