/** What a KVM says of itself, read by a script. */
import { release as hostRelease } from 'node:os';
import { APIC_ISR, APIC_PROCPRI, MSR_IA32_APICBASE, vectorBit } from '../abi/lapic.ts';
import { InfrastructureError, SkippedError } from '../errors.ts';
import type { Hand } from '../hand/hand.ts';
import { objectKinds } from '../hand/operations.ts';
import { type Script, wordPatch } from '../hand/script.ts';
import * as uapi from '../hand/uapi.ts';
import { addPatched } from '../machine/vcpu/lapic-page.ts';
import { addMsrs } from '../machine/vcpu/msrs.ts';
import { addPlatform, HypervCpuid } from '../machine/vm/platform.ts';
import type { Read } from '../machine/writer.ts';
import { ask } from './ask.ts';
import type { EmulatorFacts, TargetFacts } from './facts.ts';
import { readOffer } from './read-offer.ts';

/** Capabilities without which there is nothing to test (Documentation/virt/kvm/api.rst). */
const neededCapabilities = ['HYPERV', 'HYPERV_VP_INDEX', 'HYPERV_SEND_IPI', 'HYPERV_CPUID'] as const;
const cpuidEntriesMax = 256;
const modules = ['kvm', 'kvm_amd', 'kvm_intel'];

/** VMs that may be held open for as long as the hand lives; programs' VMs come behind them. */
export const spareVms = 2;
export const spareVcpus = 3;

export interface FactOptions {
  /** Parameters that KVM's modules were asked to have. */
  readonly parameters?: string;
  /** What emulates the computer. */
  readonly emulator?: EmulatorFacts | null;
  /** Whether what KVM offers is read as well, which takes a second or so in a lab. */
  readonly readsOffer?: boolean | undefined;
  /**
   * Whether VMs are held open that keep every static key of KVM on. Only where patching the kernel's code is not safe: a key
   * that is always on hides that KVM forgot to turn it on, and one that never changes that it is turned off too early.
   */
  readonly holdsSpareVms?: boolean | undefined;
}

export interface KvmFacts {
  readonly facts: TargetFacts;
  readonly cpuid: HypervCpuid;
}

/**
 * Asks a KVM what it is, and whether there is anything to test.
 *
 * @throws SkippedError when there is not; the message names what is missing.
 */
export async function readKvmFacts(
  hand: Hand,
  target: TargetFacts['target'],
  { parameters = '', emulator = null, readsOffer = false, holdsSpareVms = false }: FactOptions,
): Promise<KvmFacts> {
  const kernelRelease = (await hand.readFile('/proc/sys/kernel/osrelease'))?.trim() ?? hostRelease();
  const { capabilities, own } = await ask(hand, (script) => {
    const readCapabilities = addCapabilities(script);
    const readCpuid = addSupportedCpuid(script, uapi.KVM_GET_SUPPORTED_CPUID);
    return (record) => ({ capabilities: readCapabilities(record), own: readCpuid(record) });
  });
  const missing = neededCapabilities.filter((name) => capabilities[name] === 0);
  // Where two kernels are compared, one of them that is not offered any more is a difference and no reason to give up.
  const isOffered = missing.length === 0 || (readsOffer && missing.length < neededCapabilities.length);
  if (!isOffered) {
    const name = missing[0]!;
    throw new SkippedError(
      `/dev/kvm has no Hyper-V: KVM_CAP_${name} (${uapi.KVM_CAP[name]}) is 0 on ${kernelRelease}; it needs a KVM with CONFIG_KVM_HYPERV`,
    );
  }
  // Not before it is known to be there.
  const supported = { own, hyperv: await hypervCpuidOf(hand, capabilities.SYS_HYPERV_CPUID > 0) };
  const cpuid = new HypervCpuid(supported.own, supported.hyperv);
  const xen = (capabilities.XEN_HVM & uapi.KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL) !== 0;
  const facts: TargetFacts = {
    target,
    kernelRelease,
    cpu: cpuid.vendor,
    kvmMaxVcpus: capabilities.MAX_VCPUS,
    vcpuIdLimit: capabilities.MAX_VCPU_ID,
    irqchips: ['kernel', ...(capabilities.SPLIT_IRQCHIP > 0 ? ['split'] : []), 'none'],
    xen,
    hypervPrivileges: cpuid.privileges,
    enforcesCpuid: capabilities.HYPERV_ENFORCE_CPUID > 0,
    kvmOptions: await currentParameters(hand, parameters),
    emulator,
  };
  const all = { ...facts, restoresPpr: await restoresPpr(hand) };
  if (holdsSpareVms) await addSpareVms(hand, xen);
  if (!readsOffer) return { facts: all, cpuid };
  const offer = await readOffer(hand, facts, cpuid, supported, { vm: spareVms, vcpu: spareVcpus });
  return { facts: { ...all, offer }, cpuid };
}

type Capabilities = Readonly<Record<keyof typeof uapi.KVM_CAP, number>>;

function addCapabilities(script: Script): Read<Capabilities> {
  const entries = Object.entries(uapi.KVM_CAP);
  for (const [, capability] of entries) {
    const request = uapi.KVM_CHECK_EXTENSION;
    script.add('ioctlValue', { kind: objectKinds.system, object: 0, request, record: 1, value: capability });
  }
  return (record) =>
    Object.fromEntries(entries.map(([name]) => [name, Math.max(0, record.i32())])) as unknown as Capabilities;
}

/** KVM_GET_SUPPORTED_HV_CPUID. Up to 5.10 only vCPUs tell (KVM_CAP_SYS_HYPERV_CPUID, c21d54f0307f): one is made for the question. */
function hypervCpuidOf(hand: Hand, doesSystemTell: boolean): Promise<Buffer[]> {
  const request = uapi.KVM_GET_SUPPORTED_HV_CPUID;
  if (doesSystemTell) return ask(hand, (script) => addSupportedCpuid(script, request));
  return ask(hand, (script) => {
    script.add('createVm', { vm: 0, memoryBytes: 4096 });
    script.add('createVcpu', { vcpu: 0, vm: 0, id: 0, regs: 0 });
    const read = addSupportedCpuid(script, request, objectKinds.vcpu);
    script.add('dropVm', { vm: 0, later: 0 });
    return read;
  });
}

/** `struct kvm_cpuid_entry2`, one buffer each. */
function addSupportedCpuid(script: Script, request: number, kind: number = objectKinds.system): Read<Buffer[]> {
  const argument = Buffer.alloc(uapi.sizes.kvm_cpuid2 + cpuidEntriesMax * uapi.sizes.kvm_cpuid_entry2);
  argument.writeUInt32LE(cpuidEntriesMax, 0);
  script.add('ioctl', { kind, object: 0, request, record: 2, argument });
  return (record) => {
    const { result, argument: table } = record.ioctl();
    if (result < 0) throw new InfrastructureError(`KVM does not tell its CPUID: errno ${-result}`);
    const at = (index: number) => uapi.sizes.kvm_cpuid2 + index * uapi.sizes.kvm_cpuid_entry2;
    return Array.from({ length: table.readUInt32LE(0) }, (_, i) => Buffer.from(table.subarray(at(i), at(i + 1))));
  };
}

/** The parameters of a text like `avic=1 npt=0`, each with the value that it has now; one that cannot be read as it is. */
async function currentParameters(hand: Hand, text: string): Promise<string> {
  const words = text.split(' ').filter((word) => word !== '');
  const current = words.map(async (word) => {
    const name = word.split('=')[0]!;
    const paths = modules.map((module) => `/sys/module/${module}/parameters/${name}`);
    const values = await Promise.all(paths.map((path) => hand.readFile(path)));
    const value = values.find((each) => each !== null);
    return value == null ? word : `${name}=${value.trim()}`;
  });
  return (await Promise.all(current)).join(' ');
}

/**
 * VMs that are held open for as long as the hand lives. With the first and last VM the kernel patches code (static keys of
 * preempt notifiers), and with the first and last vCPU whose APIC is software- or hardware-disabled too; holding one of each
 * keeps that out of the runs (apic_sw_disabled, apic_hw_disabled in lapic.c), and so it is with Xen (kvm_xen_enabled in xen.c)
 * and with a vCPU without a LAPIC in the kernel (kvm_has_noapic_vcpu).
 */
function addSpareVms(hand: Hand, xen: boolean): Promise<void> {
  return ask(hand, (script) => {
    script.add('createVm', { vm: 0, memoryBytes: 4096 });
    addPlatform(script, 0, { irqchip: 'kernel', xen }, []);
    // A fresh vCPU's APIC is software-disabled.
    script.add('createVcpu', { vcpu: 0, vm: 0, id: 0, regs: 0 });
    script.add('createVcpu', { vcpu: 1, vm: 0, id: 1, regs: 0 });
    addMsrs(script, 1, [{ index: MSR_IA32_APICBASE, value: 0n }]);
    script.add('createVm', { vm: 1, memoryBytes: 4096 });
    script.add('createVcpu', { vcpu: 2, vm: 1, id: 0, regs: 0 });
    return () => undefined;
  });
}

/** A vector that is alone in its word of ISR, and the lowest of its class. */
const probedVector = 0x80;

/** Whether a fresh vCPU to which KVM_SET_LAPIC gives a vector in service has the PPR that this asks for. */
function restoresPpr(hand: Hand): Promise<boolean> {
  return ask(hand, (script) => {
    script.add('createVm', { vm: 0, memoryBytes: 4096 });
    addPlatform(script, 0, { irqchip: 'kernel', xen: false }, []);
    script.add('createVcpu', { vcpu: 0, vm: 0, id: 0, regs: 0 });
    addPatched(script, 0, [wordPatch(vectorBit(APIC_ISR, probedVector).offset, 1)]);
    const [request, argument] = [uapi.KVM_GET_LAPIC, Buffer.alloc(uapi.sizes.kvm_lapic_state)];
    script.add('ioctl', { kind: objectKinds.vcpu, object: 0, request, record: 2, argument });
    script.add('dropVm', { vm: 0, later: 0 });
    return (record) => record.ioctl().argument.readUInt32LE(APIC_PROCPRI) === probedVector;
  });
}
