/** What KVM does not let a VM change later: irqchip, Xen, vCPU ids, CPUID. */
import { hypervCpuidBits, hypervisorLeafRange } from '../../abi/hyperv.ts';
import type { VcpuSetup } from '../../case/case.ts';
import { hasWideIds } from '../../case/vcpus/vcpu-id.ts';
import { objectKinds } from '../../hand/operations.ts';
import type { Script } from '../../hand/script.ts';
import * as uapi from '../../hand/uapi.ts';
import type { Program } from '../../program/program.ts';

/** An MSR that no guest asks for a Xen page with; it must not be 0, or KVM does not intercept Xen hypercalls at all. */
const xenMsr = 0x4000_0200;
/** Pins of an IOAPIC (KVM_IOAPIC_NUM_PINS), which KVM_CAP_SPLIT_IRQCHIP wants to know. */
const ioapicPins = 24;
/** VMX keeps a TSS in guest memory for real mode; SVM ignores the address. */
const tssAddress = 0xfffb_d000;

/** Text that is equal for programs that can share a VM. */
export function platformKey({ machine, vcpus }: Program): string {
  const parts = vcpus.map(
    ({ vcpuId, lacks, enforced, autoEoi }) =>
      `${vcpuId ?? ''}:${lacks.join('+')}:${Number(enforced)}:${Number(autoEoi.length > 0)}`,
  );
  return `${machine.irqchip} ${machine.xen} ${parts.join(' ')}`;
}

/** Gives a VM without vCPUs the irqchip, the Xen interception and the form of APIC IDs of a program. */
export function addPlatform(
  script: Script,
  vm: number,
  { irqchip, xen }: Pick<Program['machine'], 'irqchip' | 'xen'>,
  vcpus: readonly Pick<VcpuSetup, 'vcpuId'>[],
): void {
  const value = (request: number, argument: number): void =>
    script.add('ioctlValue', { kind: objectKinds.vm, object: vm, request, record: 0, value: argument });
  if (irqchip !== 'none') value(uapi.KVM_SET_TSS_ADDR, tssAddress);
  if (irqchip === 'kernel') value(uapi.KVM_CREATE_IRQCHIP, 0);
  else if (irqchip === 'split') addEnableCap(script, 'vm', vm, uapi.KVM_CAP.SPLIT_IRQCHIP, ioapicPins);
  // MSIs and LAPIC pages have APIC IDs in full, and ID 255 is no broadcast to x2APICs; only before the first vCPU.
  const wide = uapi.KVM_X2APIC_API_USE_32BIT_IDS | uapi.KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK;
  if (irqchip !== 'none' && hasWideIds(vcpus)) addEnableCap(script, 'vm', vm, uapi.KVM_CAP.X2APIC_API, wide);
  if (xen !== false) {
    const config = Buffer.alloc(uapi.sizes.kvm_xen_hvm_config);
    config.writeUInt32LE(uapi.KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL, 0);
    config.writeUInt32LE(xen === 'flag' ? 0 : xenMsr, 4);
    const request = uapi.KVM_XEN_HVM_CONFIG;
    script.add('ioctl', { kind: objectKinds.vm, object: vm, request, record: 0, argument: config });
  }
}

export function addEnableCap(
  script: Script,
  kind: 'vm' | 'vcpu',
  object: number,
  capability: number,
  value: number,
): void {
  const argument = Buffer.alloc(uapi.sizes.kvm_enable_cap);
  argument.writeUInt32LE(capability, 0);
  argument.writeBigUInt64LE(BigInt(value), 8);
  script.add('ioctl', { kind: objectKinds[kind], object, request: uapi.KVM_ENABLE_CAP, record: 0, argument });
}

/** CPUID for vCPUs: what KVM supports, with KVM's own hypervisor leaves replaced by the Hyper-V ones. */
export class HypervCpuid {
  readonly entries: readonly Buffer[];
  /** CPUID.1:ECX bit 28. */
  readonly hasAvx: boolean;
  readonly #own: readonly Buffer[];

  /** @param supported struct kvm_cpuid_entry2 each, of KVM_GET_SUPPORTED_CPUID; and of KVM_GET_SUPPORTED_HV_CPUID. */
  constructor(supported: readonly Buffer[], supportedHyperv: readonly Buffer[]) {
    const { first, last } = hypervisorLeafRange;
    const isHypervisorLeaf = (entry: Buffer) => leafOf(entry) >= first && leafOf(entry) <= last;
    this.#own = supported.filter((entry) => !isHypervisorLeaf(entry));
    this.entries = [...this.#own, ...supportedHyperv];
    const features = this.#own.find((entry) => leafOf(entry) === 1);
    this.hasAvx = features !== undefined && ((features.readUInt32LE(registerAt.ecx) >>> 28) & 1) === 1;
  }

  /** The entries without some features. */
  without(lacks: VcpuSetup['lacks']): readonly Buffer[] {
    return lacks.includes('hyperv') ? this.#own : lacks.reduce(withoutFeature, this.entries);
  }

  /** The same as struct kvm_cpuid2. */
  tableWithout(lacks: VcpuSetup['lacks']): Buffer {
    const entries = this.without(lacks);
    const head = Buffer.alloc(uapi.sizes.kvm_cpuid2);
    head.writeUInt32LE(entries.length, 0);
    return Buffer.concat([head, ...entries]);
  }

  /** EBX of HYPERV_CPUID_FEATURES: the upper half of the privileges. */
  get privileges(): number {
    const leaf = this.entries.find((entry) => leafOf(entry) === featuresLeaf);
    return leaf === undefined ? 0 : leaf.readUInt32LE(registerAt.ebx);
  }

  /** Vendor string of leaf 0. */
  get vendor(): string {
    const leaf = this.#own.find((entry) => leafOf(entry) === 0);
    if (leaf === undefined) return 'unknown';
    const { ebx, edx, ecx } = registerAt;
    return Buffer.concat([ebx, edx, ecx].map((at) => leaf.subarray(at, at + 4))).toString('latin1');
  }
}

/** HYPERV_CPUID_FEATURES. */
const featuresLeaf = 0x4000_0003;
/** struct kvm_cpuid_entry2. */
const registerAt = { eax: 12, ebx: 16, ecx: 20, edx: 24 } as const;

const bitOf = {
  'cluster-ipi': hypervCpuidBits.HV_X64_CLUSTER_IPI_RECOMMENDED,
  'ex-masks': hypervCpuidBits.HV_X64_EX_PROCESSOR_MASKS_RECOMMENDED,
  'xmm-input': hypervCpuidBits.HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE,
} as const;

function withoutFeature(entries: readonly Buffer[], name: VcpuSetup['lacks'][number]): readonly Buffer[] {
  if (name === 'hyperv') return entries;
  const { leaf, register, bit } = bitOf[name];
  return entries.map((entry) => {
    if (leafOf(entry) !== leaf) return entry;
    const changed = Buffer.from(entry);
    const at = registerAt[register];
    changed.writeUInt32LE((changed.readUInt32LE(at) & ~(1 << bit)) >>> 0, at);
    return changed;
  });
}

function leafOf(entry: Buffer): number {
  return entry.readUInt32LE(0);
}
