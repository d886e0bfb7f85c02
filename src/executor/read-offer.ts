/**
 * Reads what a KVM offers before anything has run, by two scripts. Values that are another one each time, or after each boot,
 * are left out: two readings of one kernel are equal.
 */
import {
  APIC_DEFAULT_PHYS_BASE,
  APIC_TMCCT,
  lapicPageBytes,
  MSR_IA32_APICBASE,
  MSR_IA32_APICBASE_ENABLE,
  X2APIC_ENABLE,
} from '../abi/lapic.ts';
import type { Hand } from '../hand/hand.ts';
import { objectKinds } from '../hand/operations.ts';
import type { Script } from '../hand/script.ts';
import * as uapi from '../hand/uapi.ts';
import { firstMsr, msrsArgument } from '../machine/vcpu/msrs.ts';
import { addPlatform, type HypervCpuid } from '../machine/vm/platform.ts';
import type { Read } from '../machine/writer.ts';
import type { TargetFacts } from './facts.ts';
import { ask } from './ask.ts';
import type { CpuidLeaf, KvmOffer } from './offer.ts';

/** Numbers of objects that are free: those of the spare VMs and vCPUs are not. */
export interface FreeNumbers {
  readonly vm: number;
  readonly vcpu: number;
}

/** struct kvm_cpuid_entry2 each, as KVM gave them. */
export interface SupportedCpuid {
  readonly own: readonly Buffer[];
  readonly hyperv: readonly Buffer[];
}

/** Capabilities have numbers below this one (include/uapi/linux/kvm.h; 7.3 is at 247). */
const capabilitiesMax = 256;
/** MSRs of the list; 6.12 has some 450 (msrs_to_save_base and emulated_msrs_all in x86.c, PMU counters included). */
const msrsMax = 4096;

const lapicModes = ['xapic', 'x2apic'] as const;
type LapicMode = (typeof lapicModes)[number];

/** @throws InfrastructureError when KVM refuses what every KVM does. */
export async function readOffer(
  hand: Hand,
  { irqchips }: Pick<TargetFacts, 'irqchips'>,
  cpuid: HypervCpuid,
  supported: SupportedCpuid,
  free: FreeNumbers,
): Promise<KvmOffer> {
  const { capabilities, numbers, lapic } = await ask(hand, (script) => {
    const readCapabilities = addCapabilities(script);
    const readMsrList = addMsrList(script);
    const readPages = irqchips
      .filter((irqchip) => irqchip !== 'none')
      .map((irqchip) => addLapics(script, irqchip as 'kernel' | 'split', cpuid, free));
    return (record) => ({
      capabilities: readCapabilities(record),
      numbers: readMsrList(record),
      lapic: Object.assign({}, ...readPages.map((read) => read(record))) as KvmOffer['lapic'],
    });
  });
  const msrs = await readMsrs(hand, numbers, cpuid, free);
  return { capabilities, cpuid: steadyLeaves(supported.own), hypervCpuid: steadyLeaves(supported.hyperv), lapic, msrs };
}

function addCapabilities(script: Script): Read<Record<number, number>> {
  const request = uapi.KVM_CHECK_EXTENSION;
  for (let value = 0; value < capabilitiesMax; value++) {
    script.add('ioctlValue', { kind: objectKinds.system, object: 0, request, record: 1, value });
  }
  return (record) => {
    const capabilities: Record<number, number> = {};
    for (let number = 0; number < capabilitiesMax; number++) {
      const answer = record.i32();
      if (answer > 0) capabilities[number] = answer;
    }
    return capabilities;
  };
}

/** struct kvm_msr_list: a count of 32 bits, then as many numbers. */
function addMsrList(script: Script): Read<number[]> {
  const argument = Buffer.alloc(4 + 4 * msrsMax);
  argument.writeUInt32LE(msrsMax, 0);
  const request = uapi.KVM_GET_MSR_INDEX_LIST;
  script.add('ioctl', { kind: objectKinds.system, object: 0, request, record: 2, argument });
  return (record) => {
    const { result, argument: list } = record.ioctl();
    if (result < 0) return [];
    return Array.from({ length: list.readUInt32LE(0) }, (_, index) => list.readUInt32LE(4 + 4 * index));
  };
}

/** A VM with a vCPU for each mode, which does not run; it is dropped again. */
function addLapics(
  script: Script,
  irqchip: 'kernel' | 'split',
  cpuid: HypervCpuid,
  free: FreeNumbers,
): Read<Record<string, string>> {
  script.add('createVm', { vm: free.vm, memoryBytes: 4096 });
  addPlatform(script, free.vm, { irqchip, xen: false }, []);
  for (const [id, mode] of lapicModes.entries())
    addLapic(script, { vcpu: free.vcpu + id, vm: free.vm, id }, mode, cpuid);
  script.add('dropVm', { vm: free.vm, later: 0 });
  return (record) => {
    const pages: Record<string, string> = {};
    for (const mode of lapicModes) {
      const isSet = mode === 'xapic' || record.i32() === 1;
      const { result, argument: page } = record.ioctl();
      if (isSet && result >= 0) pages[`${irqchip} ${mode}`] = steadyLapic(page);
    }
    return pages;
  };
}

function addLapic(
  script: Script,
  { vcpu, vm, id }: { readonly vcpu: number; readonly vm: number; readonly id: number },
  mode: LapicMode,
  cpuid: HypervCpuid,
): void {
  const onVcpu = (request: number, record: number, argument: Buffer): void =>
    script.add('ioctl', { kind: objectKinds.vcpu, object: vcpu, request, record, argument });
  script.add('createVcpu', { vcpu, vm, id, regs: 0 });
  onVcpu(uapi.KVM_SET_CPUID2, 0, cpuid.tableWithout([]));
  const base = APIC_DEFAULT_PHYS_BASE | MSR_IA32_APICBASE_ENABLE | X2APIC_ENABLE;
  if (mode === 'x2apic') onVcpu(uapi.KVM_SET_MSRS, 1, msrsArgument([{ index: MSR_IA32_APICBASE, value: base }]));
  onVcpu(uapi.KVM_GET_LAPIC, 2, Buffer.alloc(uapi.sizes.kvm_lapic_state));
}

/** Reads each MSR twice: what changes meanwhile is no offer. */
function readMsrs(
  hand: Hand,
  numbers: readonly number[],
  cpuid: HypervCpuid,
  free: FreeNumbers,
): Promise<Record<string, string>> {
  return ask(hand, (script) => {
    script.add('createVm', { vm: free.vm, memoryBytes: 4096 });
    addPlatform(script, free.vm, { irqchip: 'kernel', xen: false }, []);
    script.add('createVcpu', { vcpu: free.vcpu, vm: free.vm, id: 0, regs: 0 });
    const onVcpu = (request: number, record: number, argument: Buffer): void =>
      script.add('ioctl', { kind: objectKinds.vcpu, object: free.vcpu, request, record, argument });
    onVcpu(uapi.KVM_SET_CPUID2, 0, cpuid.tableWithout([]));
    for (let reading = 0; reading < 2; reading++) {
      for (const index of numbers) onVcpu(uapi.KVM_GET_MSRS, 2, msrsArgument([{ index, value: 0n }]));
    }
    script.add('dropVm', { vm: free.vm, later: 0 });
    return (record) => {
      const [first, second] = [0, 1].map(() => new Map(numbers.map((number) => [number, firstMsr(record.ioctl())])));
      return steadyMsrs(first!, second!);
    };
  });
}

/** Frequencies that Linux measures at boot: TSC and crystal, CPU and bus (Intel SDM volume 2, CPUID). */
const measuredLeaves: ReadonlySet<number> = new Set([0x15, 0x16]);
/** The initial APIC ID of whichever CPU was asked (CPUID.1:EBX bits 31:24). */
const initialApicId = 0xff00_0000;

/** Leaves as plain values, without what another boot or another CPU answers otherwise. */
export function steadyLeaves(entries: readonly Buffer[]): CpuidLeaf[] {
  return entries
    .map((entry) => {
      const [leaf, subleaf, , eax, ebx, ecx, edx] = Array.from({ length: 7 }, (_, at) => entry.readUInt32LE(4 * at));
      const steadyEbx = leaf === 1 ? (ebx! & ~initialApicId) >>> 0 : ebx!;
      return { leaf: leaf!, subleaf: subleaf!, eax: eax!, ebx: steadyEbx, ecx: ecx!, edx: edx! };
    })
    .filter(({ leaf }) => !measuredLeaves.has(leaf));
}

/** A LAPIC page in hexadecimals, without the count that the APIC timer is at. */
export function steadyLapic(page: Buffer): string {
  const steady = Buffer.from(page.subarray(0, lapicPageBytes));
  steady.writeUInt32LE(0, APIC_TMCCT);
  return steady.toString('hex');
}

/** Time, and what Linux measures at boot (TLFS, MSR tables; Intel SDM volume 4). */
const unsteadyMsrs: ReadonlySet<number> = new Set([
  0x10, // IA32_TIME_STAMP_COUNTER
  0x4000_0010, // HV_X64_MSR_VP_RUNTIME
  0x4000_0020, // HV_X64_MSR_TIME_REF_COUNT
  0x4000_0022, // HV_X64_MSR_TSC_FREQUENCY
]);

/** MSRs that were readable and the same both times, in hexadecimals. */
export function steadyMsrs(
  first: ReadonlyMap<number, bigint | null>,
  second: ReadonlyMap<number, bigint | null>,
): Record<string, string> {
  const steady: Record<string, string> = {};
  for (const [number, value] of first) {
    if (value === null || unsteadyMsrs.has(number) || second.get(number) !== value) continue;
    steady[`0x${number.toString(16)}`] = `0x${value.toString(16)}`;
  }
  return steady;
}
