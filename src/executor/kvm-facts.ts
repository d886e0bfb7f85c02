/** What a KVM says of itself, read by a script. */
import { release as hostRelease } from 'node:os';
import { MSR_IA32_APICBASE } from '../abi/lapic.ts';
import { InfrastructureError, SkippedError } from '../errors.ts';
import type { Hand } from '../hand/hand.ts';
import { objectKinds } from '../hand/operations.ts';
import { Script } from '../hand/script.ts';
import * as uapi from '../hand/uapi.ts';
import { addPlatform, HypervCpuid, msrsArgument } from '../machine/platform.ts';
import type { Read } from '../machine/writer.ts';
import type { EmulatorFacts, TargetFacts } from './facts.ts';
import { firstCase } from './first-case.ts';
import { readOffer } from './read-offer.ts';

/** Capabilities without which there is nothing to test (Documentation/virt/kvm/api.rst). */
const neededCapabilities = ['HYPERV', 'HYPERV_VP_INDEX', 'HYPERV_SEND_IPI', 'HYPERV_CPUID'] as const;
const cpuidEntriesMax = 256;
const modules = ['kvm', 'kvm_amd', 'kvm_intel'];

/** VMs that are held open for as long as the hand lives; programs' VMs come behind them. */
export const spareVms = 2;
export const spareVcpus = 3;

export interface FactOptions {
  /** Parameters that KVM's modules were asked to have. */
  readonly parameters?: string;
  /** What emulates the computer. */
  readonly emulator?: EmulatorFacts | null;
  /** Whether what KVM offers is read as well, which takes a second or so in a lab. */
  readonly readsOffer?: boolean | undefined;
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
  { parameters = '', emulator = null, readsOffer = false }: FactOptions,
): Promise<KvmFacts> {
  const kernelRelease = (await hand.readFile('/proc/sys/kernel/osrelease'))?.trim() ?? hostRelease();
  const script = new Script();
  script.case(0);
  const readCapabilities = addCapabilities(script);
  const readCpuid = addSupportedCpuid(script, uapi.KVM_GET_SUPPORTED_CPUID);
  const record = firstCase(await hand.run(script.finish(), 0));
  const capabilities = readCapabilities(record);
  const missing = neededCapabilities.filter((name) => capabilities[name] === 0);
  // Where two kernels are compared, one of them that is not offered any more is a difference and no reason to give up.
  const isOffered = missing.length === 0 || (readsOffer && missing.length < neededCapabilities.length);
  if (!isOffered) {
    const name = missing[0]!;
    throw new SkippedError(
      `/dev/kvm has no Hyper-V: KVM_CAP_${name} (${uapi.KVM_CAP[name]}) is 0 on ${kernelRelease}; it needs a KVM with CONFIG_KVM_HYPERV`,
    );
  }
  if (capabilities.SYS_HYPERV_CPUID === 0) {
    throw new SkippedError(
      `/dev/kvm of ${kernelRelease} does not tell what it has of Hyper-V: KVM_CAP_SYS_HYPERV_CPUID (${uapi.KVM_CAP.SYS_HYPERV_CPUID}) is 0; it came with 5.11`,
    );
  }
  // Not before it is known to be there.
  const hyperv = new Script();
  hyperv.case(0);
  const readHyperv = addSupportedCpuid(hyperv, uapi.KVM_GET_SUPPORTED_HV_CPUID);
  const supported = { own: readCpuid(record), hyperv: readHyperv(firstCase(await hand.run(hyperv.finish(), 0))) };
  const cpuid = new HypervCpuid(supported.own, supported.hyperv);
  const xen = (capabilities.XEN_HVM & uapi.KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL) !== 0;
  const facts: TargetFacts = {
    target,
    kernelRelease,
    cpu: cpuid.vendor,
    kvmMaxVcpus: capabilities.MAX_VCPUS,
    irqchips: ['kernel', ...(capabilities.SPLIT_IRQCHIP > 0 ? ['split'] : []), 'none'],
    xen,
    hypervPrivileges: cpuid.privileges,
    kvmOptions: await currentParameters(hand, parameters),
    emulator,
  };
  await holdSpareVms(hand, xen);
  if (!readsOffer) return { facts, cpuid };
  const offer = await readOffer(hand, facts, cpuid, supported, { vm: spareVms, vcpu: spareVcpus });
  return { facts: { ...facts, offer }, cpuid };
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

/** `struct kvm_cpuid_entry2`, one buffer each. */
function addSupportedCpuid(script: Script, request: number): Read<Buffer[]> {
  const argument = Buffer.alloc(uapi.sizes.kvm_cpuid2 + cpuidEntriesMax * uapi.sizes.kvm_cpuid_entry2);
  argument.writeUInt32LE(cpuidEntriesMax, 0);
  script.add('ioctl', { kind: objectKinds.system, object: 0, request, record: 2, argument });
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
async function holdSpareVms(hand: Hand, xen: boolean): Promise<void> {
  const script = new Script();
  script.case(0);
  script.add('createVm', { vm: 0, memoryBytes: 4096 });
  addPlatform(script, 0, { irqchip: 'kernel', xen }, []);
  // A fresh vCPU's APIC is software-disabled.
  script.add('createVcpu', { vcpu: 0, vm: 0, id: 0, regs: 0 });
  script.add('createVcpu', { vcpu: 1, vm: 0, id: 1, regs: 0 });
  const argument = msrsArgument([{ index: MSR_IA32_APICBASE, value: 0n }]);
  script.add('ioctl', { kind: objectKinds.vcpu, object: 1, request: uapi.KVM_SET_MSRS, record: 0, argument });
  script.add('createVm', { vm: 1, memoryBytes: 4096 });
  script.add('createVcpu', { vcpu: 2, vm: 1, id: 0, regs: 0 });
  firstCase(await hand.run(script.finish(), 0));
}
