import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type PlatformPlan, platformPlan } from '../../../../generators/machine/platform.ts';
import { type Case, makeCase, makeStep, type VcpuSetup } from '../../../../src/case/case.ts';
import { HypervCpuid, platformKey } from '../../../../src/machine/vm/platform.ts';
import { encodeCase } from '../../../../src/program/encode.ts';

const keyOf = (vcpus: Partial<VcpuSetup>[], machine: Partial<Case['machine']> = {}) =>
  platformKey(encodeCase(makeCase(vcpus, [makeStep({ do: 'run' })], machine)));

describe('platformKey', () => {
  it.each<[string, string]>([
    ['another irqchip', keyOf([{}], { irqchip: 'split' })],
    ['Xen', keyOf([{}], { xen: true })],
    ['one more vCPU', keyOf([{}, {}])],
    ['a vCPU id', keyOf([{ vcpuId: 1 }])],
    ['a feature that is missing', keyOf([{ lacks: ['ex-masks'] }])],
    ['auto-EOI SINTs', keyOf([{ autoEoi: [0x40] }])],
    ['CPUID enforced', keyOf([{ enforced: true }])],
  ])('should not be the same with %s', (_, key) => {
    expect(key).not.toBe(keyOf([{}]));
  });

  it('should tell which vCPU is special', () => {
    const keys = [
      keyOf([{ lacks: ['hyperv'] }, {}]),
      keyOf([{}, { lacks: ['hyperv'] }]),
      keyOf([{ lacks: ['cluster-ipi'] }, { lacks: ['ex-masks'] }]),
      keyOf([{ lacks: ['cluster-ipi', 'ex-masks'] }, {}]),
      keyOf([{ vcpuId: 1 }, { vcpuId: 0 }]),
      keyOf([{ vcpuId: 10 }, {}]),
    ];
    expect(new Set(keys).size).toBe(keys.length);
  });

  it('should be the same for whatever can be set anew', () => {
    const kinds = { apic: 'xapic', eoi: 'apic', idle: 'uninitialized' } as const;
    const other = { ...kinds, vpIndex: 65, tpr: 3, irr: [16], isr: [17], logsPpr: true };
    expect(keyOf([{}, other], { guestOsId: 0n })).toBe(keyOf([{}, {}]));
  });

  it('should be equal for two platforms only when they are', () => {
    const key = ({ vcpus, ...machine }: PlatformPlan) => {
      const setups = vcpus.map(({ vcpuId, lacks, enforced, hasSints }) => {
        return { vcpuId, lacks, enforced, autoEoi: hasSints ? [0x40] : [] };
      });
      return keyOf(setups, machine);
    };
    const withoutIndexes = ({ vcpus, ...machine }: PlatformPlan) =>
      JSON.stringify({ ...machine, vcpus: vcpus.map((vcpu) => ({ ...vcpu, keepsVpIndex: false })) });
    fc.assert(
      fc.property(platformPlan, platformPlan, (one, other) => {
        expect(key(one) === key(other)).toBe(withoutIndexes(one) === withoutIndexes(other));
      }),
      { seed: 42, numRuns: 500 },
    );
  });
});

describe('HypervCpuid', () => {
  const all = 0xffff_ffff;
  const supported = [
    entry(1, { ecx: 1 << 28 }),
    entry(0x4000_0000, { eax: 0x4000_0001 }),
    entry(0x4000_0001, { eax: 7 }),
  ];
  const supportedHyperv = [
    entry(0x4000_0001, { eax: 0x3123_7648 }),
    entry(0x4000_0003, { edx: all }),
    entry(0x4000_0004, { eax: all }),
  ];
  const cpuid = new HypervCpuid(supported, supportedHyperv);
  const textOf = (entries: readonly Buffer[]) => entries.map((one) => one.toString('hex'));
  const common = [entry(1, { ecx: 1 << 28 }), entry(0x4000_0001, { eax: 0x3123_7648 })];

  it('should have Hyper-V’s hypervisor leaves in the place of KVM’s own', () => {
    const leaves = [entry(0x4000_0003, { edx: all }), entry(0x4000_0004, { eax: all })];
    expect(textOf(cpuid.entries)).toEqual(textOf([...common, ...leaves]));
    expect(textOf(cpuid.without([]))).toEqual(textOf(cpuid.entries));
    expect(cpuid.hasAvx).toBe(true);
  });

  it('should have no hypervisor leaf where Hyper-V is missing', () => {
    expect(textOf(cpuid.without(['hyperv']))).toEqual(textOf([entry(1, { ecx: 1 << 28 })]));
    expect(textOf(cpuid.without(['hyperv', 'ex-masks']))).toEqual(textOf(cpuid.without(['hyperv'])));
  });

  it.each<[VcpuSetup['lacks'], { edx: number; eax: number }]>([
    [['cluster-ipi'], { edx: all, eax: 0xffff_fbff }],
    [['ex-masks'], { edx: all, eax: 0xffff_f7ff }],
    [['xmm-input'], { edx: 0xffff_ffef, eax: all }],
    [['cluster-ipi', 'ex-masks', 'xmm-input'], { edx: 0xffff_ffef, eax: 0xffff_f3ff }],
  ])('should clear nothing but the bits of %j', (lacks, { edx, eax }) => {
    const leaves = [entry(0x4000_0003, { edx }), entry(0x4000_0004, { eax })];
    expect(textOf(cpuid.without(lacks))).toEqual(textOf([...common, ...leaves]));
    expect(textOf(cpuid.without([]))).toEqual(textOf(cpuid.entries));
  });
});

/** struct kvm_cpuid_entry2: function at 0, EAX at 12, EBX, ECX at 20, EDX at 24. */
function entry(leaf: number, { eax = 0, ecx = 0, edx = 0 }: { eax?: number; ecx?: number; edx?: number }): Buffer {
  const buffer = Buffer.alloc(40);
  buffer.writeUInt32LE(leaf, 0);
  buffer.writeUInt32LE(eax >>> 0, 12);
  buffer.writeUInt32LE(ecx >>> 0, 20);
  buffer.writeUInt32LE(edx >>> 0, 24);
  return buffer;
}
