import { describe, expect, it } from 'vitest';
import { makeStep } from '../../../../src/case/case.ts';
import {
  emulatorFacts,
  emulatorFaults,
  entersInStiShadow,
  hasFault,
  type KernelTrait,
} from '../../../../src/lab/emulator/faults.ts';

const kernel = (isOfTheKind: boolean | null): Record<KernelTrait, boolean | null> => ({
  'sti-before-vmrun': isOfTheKind,
});
const faultsOf = (version: string, isOfTheKind: boolean | null) =>
  emulatorFacts({ name: 'qemu', version }, kernel(isOfTheKind)).faults;

describe('emulatorFacts', () => {
  it('should tell of the kept shadow where the kernel is of the kind and the version is not right', () => {
    expect(faultsOf('7.2.22', true)).toContain('shadow-kept-over-vmrun');
    expect(faultsOf('9.2.4', true)).toContain('shadow-kept-over-vmrun');
    expect(faultsOf('7.2.22', false)).not.toContain('shadow-kept-over-vmrun');
    for (const version of ['10.0', '10.0.2', '11.1.3']) {
      expect(faultsOf(version, true)).not.toContain('shadow-kept-over-vmrun');
    }
  });

  it('should take a kernel of which nobody knows for one of the kind', () => {
    expect(faultsOf('7.2.22', null)).toContain('shadow-kept-over-vmrun');
    expect(faultsOf('10.0.2', null)).not.toContain('shadow-kept-over-vmrun');
  });

  it('should leave out what the harness avoids', () => {
    expect(faultsOf('7.2.22', true)).toEqual(['shadow-kept-over-vmrun']);
  });
});

describe('hasFault', () => {
  it('should compare versions by their numbers, and no emulator with another one', () => {
    const [kept] = emulatorFaults;
    expect(['7.2', '9.10', '10', '10.0', '10.1'].map((version) => hasFault(kept!, 'qemu', version))).toEqual([
      true,
      true,
      false,
      false,
      false,
    ]);
    expect(hasFault(kept!, 'bochs', '7.2')).toBe(false);
  });
});

describe('emulatorFaults', () => {
  it('should have other steps for faults that the harness does not avoid, and for no others', () => {
    const steps = [
      makeStep({ do: 'act', act: 'wait', at: 'open' }),
      ...(['hlt', 'sti-shadow', 'mov-ss-shadow'] as const).map((at) => makeStep({ do: 'act', act: 'wait', at })),
      makeStep({ do: 'act', act: 'set-tpr', by: 'cr8', tpr: 4, open: true }),
      makeStep({ do: 'act', act: 'set-tpr', by: 'apic', tpr: 4, open: false }),
      makeStep({ do: 'run' }),
    ];
    const met = (name: string): number[] => {
      const { instead } = emulatorFaults.find((fault) => fault.name === name)!;
      return steps.flatMap((step, index) => (instead(step) === null ? [] : [index]));
    };
    expect(met('shadow-kept-over-vmrun')).toEqual([1, 2, 3]);
    for (const { name } of emulatorFaults.filter(({ avoidedBy }) => avoidedBy !== null)) expect(met(name)).toEqual([]);
  });

  it('should give a step that meets no fault itself', () => {
    const meeting = [makeStep({ do: 'act', act: 'wait', at: 'hlt' })];
    for (const { instead } of emulatorFaults) {
      for (const step of meeting) expect(instead(instead(step) ?? step) === null || instead(step) === null).toBe(true);
    }
  });
});

describe('entersInStiShadow', () => {
  const module = (name: string, hex: string) => ({ name, bytes: Buffer.from(hex, 'hex') });

  it('should look for sti with vmrun right behind it in the code of kvm-amd', () => {
    expect(entersInStiShadow([module('kvm', '90'), module('kvm_amd', '90fb0f01d8fa')])).toBe(true);
    // vmload between the two, as before 6.0; and interrupts that are enabled elsewhere, as since 2025.
    expect(entersInStiShadow([module('kvm_amd', 'fb0f01da0f01d8fa')])).toBe(false);
    expect(entersInStiShadow([module('kvm_amd', '900f01d8fa')])).toBe(false);
    expect(entersInStiShadow([module('kvm', 'fb0f01d8')])).toBe(null);
  });
});
