import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeCase, makeStep } from '../../src/case/case.ts';
import { encodeCase } from '../../src/case/encode.ts';
import { explain } from '../../oracle/explain.ts';
import { explanationColumns, formatExplanation } from '../../oracle/explain-text.ts';
import { predict } from '../../oracle/model.ts';
import { kvmRules } from '../../oracle/rules.ts';
import { anyProgram, facts, registerSoup } from './programs.ts';

const sample = encodeCase(
  makeCase(
    [{ vpIndex: 0 }, { vpIndex: 5000, apic: 'software-disabled' }, { vpIndex: 130, idle: 'halted' }],
    [
      makeStep({ do: 'send-ipi-ex', targets: [0, 1, 5, 130], padding: 3 }),
      makeStep({ do: 'send-ipi', fast: true, targets: [0] }),
      makeStep({ do: 'run' }),
    ],
  ),
);

describe('explain', () => {
  it('should name the rule that the model names, and every other one in order', () => {
    const property = fc.property(fc.oneof(anyProgram, registerSoup), (program) => {
      const outcome = predict(program, facts);
      explain(program, facts).steps.forEach((step, index) => {
        if (step.kind === 'run') return;
        expect(step.rules.map(({ name }) => name)).toEqual(kvmRules.map(({ name }) => name));
        expect(step.rules.filter(({ role }) => role === 'decides').map(({ name }) => name)).toEqual([
          outcome.steps[index]!.rule,
        ]);
      });
    });
    fc.assert(property, { seed: 7, numRuns: 200 });
  });

  it('should tell what each vCPU that is named does', () => {
    const [first, second, last] = explain(sample, facts).steps;
    expect(first).toMatchObject({
      kind: 'call',
      absentVpIndexes: [5],
      banks: [
        { bank: 0, slot: 0, contents: 0x23n, vpIndexes: [0, 1, 5] },
        { bank: 2, slot: 1, contents: 4n, vpIndexes: [130] },
      ],
      effects: [
        { vcpu: 0, vpIndex: 0, text: '0xfe becomes pending' },
        { vcpu: 1, vpIndex: 1, text: 'APIC is software-disabled: 0xfe is lost, the status stays 0' },
        { vcpu: 2, vpIndex: 130, text: 'wakes up, the handler of 0xfe runs' },
      ],
    });
    expect(second).toMatchObject({ effects: [{ vcpu: 0, text: '0xfe is pending already, nothing changes' }] });
    expect(last).toMatchObject({ kind: 'run', effects: [{ text: 'the handlers of 0xfe run' }, { vcpu: 1 }] });
  });

  it('should decode the input of both forms into the same fields', () => {
    const input = (fast: boolean) => {
      const step = makeStep({ do: 'send-ipi-ex', fast, vector: 0x77, format: 9n, targets: [64], padding: 2 });
      const [explained] = explain(encodeCase(makeCase([{ vpIndex: 0 }], [step])), facts).steps;
      return explained!.kind === 'call' ? explained!.input : null;
    };
    expect(input(false)).toEqual(input(true));
    expect(input(true)!.map(({ name, value }) => [name, value])).toEqual([
      ['vector', 0x77n],
      ['targetVtl', 0n],
      ['padding', 2n],
      ['format', 9n],
      ['validBankMask', 2n],
    ]);
  });
});

describe('formatExplanation', () => {
  it('should fit a terminal', () => {
    const property = fc.property(fc.oneof(anyProgram, registerSoup), (program) => {
      const text = formatExplanation(explain(program, facts));
      for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(explanationColumns);
    });
    fc.assert(property, { seed: 7, numRuns: 100 });
  });

  it('should read as it does', () => {
    const text = formatExplanation(explain(sample, facts));
    expect(text.split('\n').slice(0, 6)).toEqual([
      'contract kvm, kernel 6.12.0-test: VP indexes below 4096, at most 64 banks read',
      '  vCPU 0: VP index 0, APIC x2apic, parked',
      '  vCPU 1: VP index 1 (KVM does not take 5000), APIC software-disabled, parked',
      '  vCPU 2: VP index 130, APIC x2apic, halted',
      '',
      'step 0: hypercall by vCPU 0',
    ]);
    expect(text).toContain('    variableHeaderSize  26:17    0x2                variable header, in 8-byte units\n');
    expect(text).toContain('    bank 0 in slot 0: 0x0000000000000023 VPs 0-1,5\n');
    expect(text).toContain('    no vCPU has VP index 5: ignored\n');
    expect(text).toContain('    > deliver                        decides: HV_STATUS_SUCCESS (0)\n');
    expect(text).toContain('  vCPU 2 (VP 130): wakes up, the handler of 0xfe runs\n');
  });
});
