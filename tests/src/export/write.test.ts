import { describe, expect, it } from 'vitest';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import type { TargetFacts } from '../../../src/executor/executor.ts';
import { exportCase, exportForms, programOrNull } from '../../../src/export/write.ts';
import { modelFacts } from './facts.ts';

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
    expect(text).not.toMatch(/@\w+@/);
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
    expect(text).toContain('expect_lapic(1, VECTORS(0xfe), VECTORS(0xfe));');
    expect(text).toContain('put_block(ARENA, block, 96);');
  });

  it('should refuse what a C program cannot show, by its name', () => {
    const halted = makeCase([{ vpIndex: 0, idle: 'halted' }], [makeStep({ do: 'send-ipi', targets: [0] })]);

    expect(() => exportCase(halted, facts, form)).toThrow(
      'export: machine.vcpus[0].idle: a C program cannot show this yet',
    );
    expect(programOrNull(halted, facts, form)).toBeNull();
  });
});
