import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Case, makeCase, makeStep, type Step, type VcpuSetup } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { explain } from '../../../oracle/explain/explain.ts';
import { explanationColumns, formatExplanation } from '../../../oracle/explain/explain-text.ts';
import { kvmRules } from '../../../oracle/call/rules.ts';
import { anyProgram, facts, registerSoup } from '../programs.ts';

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
    expect(text.split('\n').slice(0, 7)).toEqual([
      'contract kvm, kernel 6.12.0-test: VP indexes below 4096, at most 64 banks read',
      '  irqchip kernel, GUEST_OS_ID 0x8100000000000000',
      '  vCPU 0: VP index 0, APIC x2apic, parked',
      '  vCPU 1: VP index 1 (KVM does not take 5000), APIC software-disabled, parked',
      '  vCPU 2: VP index 130, APIC x2apic, halted',
      '',
      'step 1: hypercall by vCPU 0',
    ]);
    expect(text).toContain('    variableHeaderSize  26:17    0x2                variable header, in 8-byte units\n');
    expect(text).toContain('    bank 0 in slot 0: 0x0000000000000023 VPs 0-1,5\n');
    expect(text).toContain('    no vCPU has VP index 5: ignored\n');
    expect(text).toContain('    > deliver                        decides: HV_STATUS_SUCCESS (0)\n');
    expect(text).toContain('  vCPU 2 (VP 130): wakes up, the handler of 0xfe runs\n');
  });

  it('should show the machine', () => {
    const vcpus = [
      { lacks: ['ex-masks' as const, 'xmm-input' as const], enforced: true },
      { vpIndex: 9, enforced: true },
    ];
    expect(linesOf(vcpus, [makeStep({ do: 'run' })], { irqchip: 'split', xen: true, guestOsId: 0n })).toEqual([
      'contract kvm, kernel 6.12.0-test: VP indexes below 4096, at most 64 banks read',
      '  irqchip split, GUEST_OS_ID 0x0, Xen hypercalls intercepted',
      '  vCPU 0: VP index 0, APIC x2apic, parked, CPUID lacks ex-masks xmm-input, CPUID enforced',
      '  vCPU 1: VP index 9, APIC x2apic, parked, CPUID enforced',
      '',
      'step 1: the parked vCPUs run until nothing is pending that they can take',
      '  vCPU 0 (VP 0): takes nothing',
      '  vCPU 1 (VP 9): takes nothing',
    ]);
  });

  it('should show steps that are no calls, with the rule that decides', () => {
    const steps = [
      makeStep({ do: 'write-msr', msr: 'guest-os-id', value: 5n }),
      makeStep({ do: 'write-msr', msr: 'hypercall', value: 0x100001n }),
      makeStep({ do: 'init' }),
    ];
    const lines = linesOf([{}], steps);
    expect(lines.slice(3)).toEqual([
      '',
      'step 1: the host writes 0x5 to the guest-os-id MSR of vCPU 0',
      '    > guest-os-id-written: taken',
      '        TLFS "Reporting the Guest OS Identity"; kvm_hv_set_msr_pw, HV_X64_MSR_GUEST_OS_ID; VM-wide',
      '',
      'step 2: the host writes 0x100001 to the hypercall MSR of vCPU 0',
      '    > page-not-writable: refused',
      '        TLFS "Establishing the Hypercall Interface", #GP outside of the GPA space;',
      '          kvm_hv_set_msr_pw, kvm_vcpu_write_guest fails',
      '',
      'step 3: vCPU 0 gets INIT',
    ]);
  });

  it('should show a call from its control word to its verdict', () => {
    const call = makeStep({ do: 'send-ipi-ex', mode: 'compat', vector: 5, targets: [1, 65], emptyBanks: [3] });
    const lines = linesOf([{}, {}], [call]).slice(4);
    const rulesAt = lines.indexOf('  rules');
    const resultAt = lines.findIndex((line) => line.startsWith('  result'));
    expect(lines.slice(0, rulesAt)).toEqual([
      '',
      'step 1: hypercall by vCPU 0',
      '  made in compat mode, CPL 0, a bare instruction',
      '  control word 0x0000000000060015',
      '    callCode            15:0     0x15               call code',
      '    isFast              16       0x0                parameters in registers',
      '    variableHeaderSize  26:17    0x3                variable header, in 8-byte units',
      '    reserved0           30:27    0x0                must be zero',
      '    isNested            31       0x0                to be handled by L0; KVM: reserved',
      '    repCount            43:32    0x0                repetitions; 0 for a simple call',
      '    reserved1           47:44    0x0                must be zero',
      '    repStartIndex       59:48    0x0                first repetition; 0 for a simple call',
      '    reserved2           63:60    0x0                must be zero',
      '  input (guest memory at 0xe0000)',
      '    vector              31:0     0x5                vector, 0x10..0xff',
      '    targetVtl           39:32    0x0                HV_INPUT_VTL: 3:0 VTL, 4 UseTargetVtl, 7:5',
      '      reserved',
      '    padding             63:40    0x0                padding',
      '    format              127:64   0x0                HV_VP_SET format: 0 sparse, 1 all',
      '    validBankMask       191:128  0xb                bit n: bank n has an element in the bank array',
      '  VP set',
      '    bank 0 in slot 0: 0x0000000000000002 VPs 1',
      '    bank 1 in slot 1: 0x0000000000000002 VPs 65',
      '    bank 3 in slot 2: 0x0000000000000000 names no VP',
    ]);
    const deciding = kvmRules.findIndex(({ name }) => name === 'bad-vector');
    expect(lines[rulesAt + 1]).toBe('      other-opcode-privileged        passed');
    expect(lines[rulesAt + deciding + 1]).toBe(
      '    > bad-vector                     decides: HV_STATUS_INVALID_HYPERCALL_INPUT (3)',
    );
    expect(lines[resultAt - 1]).toBe('      deliver                        not reached');
    expect(lines.slice(resultAt)).toEqual([
      '  result HV_STATUS_INVALID_HYPERCALL_INPUT (3)',
      '  nothing is delivered',
      '  contract tlfs',
      '    > not-through-page               guess',
      '        WEB hypercall-interface, "Legal Hypercall Environments": a call from outside of the page',
      '          may raise #UD',
      '    > vector-out-of-range            certain',
      '        WEB HvCallSendSyntheticClusterIpi(Ex), Vector 0x10..0xff; PDF6 p.116-117,',
      '          HV_STATUS_INVALID_PARAMETER',
      '    > absent-vp                      unspecified',
      '        WEB HvCallSendSyntheticClusterIpi(Ex) does not say what naming a VP that does not exist does',
      '    permits any error or #UD (vector 6)',
      '    kvm     HV_STATUS_INVALID_HYPERCALL_INPUT (3)',
      '    verdict permitted',
    ]);
  });

  it('should show a plain call without the lines that it does not need', () => {
    const lines = linesOf([{}], [makeStep({ do: 'send-ipi-ex', fast: true })]).slice(3);
    expect(lines.slice(0, 3)).toEqual(['', 'step 1: hypercall by vCPU 0', '  control word 0x0000000000010015']);
    const rulesAt = lines.indexOf('  rules');
    expect(lines[rulesAt - 1]).toMatch(/^ {4}validBankMask /);
  });

  it('should break a word that is longer than a line', () => {
    const program = encodeCase(makeCase([{ vpIndex: 0 }], [makeStep({ do: 'run' })]));
    const text = formatExplanation({ ...explain(program, facts), kernelRelease: 'x'.repeat(150) });
    expect(text.split('\n').slice(0, 4)).toEqual([
      'contract kvm, kernel',
      `  ${'x'.repeat(98)}`,
      `  ${'x'.repeat(52)}: VP indexes below 4096, at most 64 banks read`.slice(0, 200),
      '  irqchip kernel, GUEST_OS_ID 0x8100000000000000',
    ]);
  });

  it('should say what is not read', () => {
    const lines = linesOf([{}], [makeStep({ do: 'send-ipi', gpa: 0x100000n })]);
    expect(lines).toContain('  input (guest memory at 0x100000): not read');
    expect(lines).not.toContain('  VP set');
    const banks = Array.from({ length: 12 }, (_, bank) => 64 * bank);
    const fast = linesOf([{}], [makeStep({ do: 'send-ipi-ex', fast: true, targets: banks })]);
    expect(fast).toContain('    bank 11 in slot 11: not read');
  });

  it('should break a line that has no place to break at', () => {
    const lines = linesOf([{ vpIndex: 4095 }], [makeStep({ do: 'send-ipi-ex', targets: everyOther })]);
    const at = lines.findIndex((line) => line.startsWith('    no vCPU has VP index'));
    expect(lines[at]).toHaveLength(100);
    expect(lines[at + 1]).toMatch(/^ {6}\d+,/);
    expect(lines[at]!.endsWith(',')).toBe(true);
  });
});

const everyOther = Array.from({ length: 64 }, (_, index) => 1000 + 2 * index);

function linesOf(
  vcpus: readonly Partial<VcpuSetup>[],
  steps: readonly Step[],
  machine: Partial<Omit<Case['machine'], 'vcpus'>> = {},
): string[] {
  const indexed = vcpus.map((setup, position) => ({ vpIndex: position, ...setup }));
  const text = formatExplanation(explain(encodeCase(makeCase(indexed, steps, machine)), facts));
  expect(text.endsWith('\n')).toBe(true);
  return text.slice(0, -1).split('\n');
}
