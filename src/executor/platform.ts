/** What a VM must be made with, because KVM does not let it change later: irqchip, Xen, vCPU ids, CPUID. */
import { hypervCpuidBits, hypervisorLeafRange } from '../abi/hyperv.ts';
import type { VcpuSetup } from '../case/case.ts';
import type { Program } from '../program/program.ts';
import { hasWideIds, vcpuIdOf } from '../case/vcpu-id.ts';
import type { Kvm, Vcpu, Vm } from '../kvm/kvm.ts';
import * as uapi from '../kvm/uapi.ts';

/** An MSR that no guest asks for a Xen page with; it must not be 0, or KVM does not intercept Xen hypercalls at all. */
export const xenMsr = 0x4000_0200;

/** Text that is equal for programs that can share a VM. */
export function platformKey({ machine, vcpus }: Program): string {
  const parts = vcpus.map(
    ({ vcpuId, lacks, enforced, autoEoi }) =>
      `${vcpuId ?? ''}:${lacks.join('+')}:${Number(enforced)}:${Number(autoEoi.length > 0)}`,
  );
  return `${machine.irqchip} ${Number(machine.xen)} ${parts.join(' ')}`;
}

/** Whether this KVM was built with Xen support; where it was not, no VM intercepts Xen hypercalls. */
export function canInterceptXen(kvm: Kvm): boolean {
  return (kvm.check(uapi.KVM_CAP.XEN_HVM) & uapi.KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL) !== 0;
}

/** Gives a VM without vCPUs the irqchip, the Xen interception and the form of APIC IDs of a program. */
export function setUpVm(kvm: Kvm, vm: Vm, { machine: { irqchip, xen }, vcpus }: Program): void {
  if (irqchip === 'kernel') vm.createIrqchip();
  else if (irqchip === 'split') vm.splitIrqchip();
  if (irqchip !== 'none' && hasWideIds(vcpus)) vm.useWideApicIds();
  if (xen && canInterceptXen(kvm)) vm.interceptXenHypercalls(xenMsr);
}

/** Creates the vCPU at a position; whether KVM enforces CPUID is set before CPUID is. */
export function createVcpu(vm: Vm, position: number, setup: VcpuSetup, cpuid: HypervCpuid): Vcpu {
  const vcpu = vm.createVcpu(vcpuIdOf(setup, position));
  try {
    if (setup.enforced) vcpu.enforceHypervCpuid();
    vcpu.setCpuid(cpuid.without(setup.lacks));
    if (setup.autoEoi.length > 0) vcpu.enableSynic();
    return vcpu;
  } catch (error) {
    vcpu[Symbol.dispose]();
    throw error;
  }
}

/** CPUID for vCPUs: what KVM supports, with KVM's own hypervisor leaves replaced by the Hyper-V ones. */
export class HypervCpuid {
  readonly entries: readonly Buffer[];
  /** CPUID.1:ECX bit 28. */
  readonly hasAvx: boolean;
  readonly #own: readonly Buffer[];
  readonly #made = new Map<string, readonly Buffer[]>();

  constructor(kvm: Kvm) {
    const { first, last } = hypervisorLeafRange;
    const isHypervisorLeaf = (entry: Buffer) => leafOf(entry) >= first && leafOf(entry) <= last;
    this.#own = kvm.supportedCpuid(uapi.KVM_GET_SUPPORTED_CPUID).filter((entry) => !isHypervisorLeaf(entry));
    this.entries = [...this.#own, ...kvm.supportedCpuid(uapi.KVM_GET_SUPPORTED_HV_CPUID)];
    const features = this.#own.find((entry) => leafOf(entry) === 1);
    this.hasAvx = features !== undefined && ((features.readUInt32LE(registerAt.ecx) >>> 28) & 1) === 1;
  }

  /** The entries without some features. */
  without(lacks: VcpuSetup['lacks']): readonly Buffer[] {
    const key = lacks.join(' ');
    let entries = this.#made.get(key);
    if (entries === undefined) {
      entries = lacks.includes('hyperv') ? this.#own : lacks.reduce(withoutFeature, this.entries);
      this.#made.set(key, entries);
    }
    return entries;
  }
}

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
