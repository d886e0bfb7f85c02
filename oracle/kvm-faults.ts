/**
 * Faults of KVM itself: places where it does not do what its own source says it should. The model predicts what KVM
 * does there, so that runs on KVM as shipped agree. `explain` and `replay` name the fault, and `fuzz` counts it as
 * known. Each has a page in `docs/findings/`.
 */
import { xenHypervBit } from '../src/abi/hypercall.ts';
import { APIC_PROCPRI } from '../src/abi/lapic.ts';
import { priorityClass } from './state/machine.ts';
import type { Outcome, StepOutcome } from './outcome.ts';
import { migrationRules } from './steps/migrate.ts';

export interface KvmFault {
  /** Name of its page in `docs/findings/`, without the ending. */
  readonly name: string;
  /** What KVM does. */
  readonly does: string;
  /** What it means to do, and where its source says so. */
  readonly means: string;
  readonly source: string;
  /** The first release that has it, with its commit, and the one that no longer does. */
  readonly releases: string;
  /** Whether a step shows it, by the model's word; null for a fault that no case can come to. */
  readonly shows: ((done: StepOutcome) => boolean) | null;
}

export const kvmFaults: readonly KvmFault[] = [
  {
    name: 'other-opcode-real-mode',
    does: "writes its own vendor's hypercall instruction to the wrong place, so that the vCPU may stay in KVM_RUN",
    means: 'rewrite the instruction that the guest executes (KVM_X86_QUIRK_FIX_HYPERCALL_INSN)',
    source: 'emulator_fix_hypercall',
    releases: '2.6.25 (7aa81cc04781) to 7.3 at least',
    shows: null,
  },
  {
    name: 'xen-page-32-bit',
    does: 'refuses each 32-bit Hyper-V call with status 3, because bit 31 of EAX is a reserved bit of the input value',
    means: "take bit 31 of EAX for the mark of a Hyper-V call, which KVM's own hypercall page sets",
    source: 'kvm_hv_set_msr_pw, kvm_xen_hypercall, kvm_hv_hypercall',
    releases: '5.17 (413af6601f76) to 7.3 at least',
    shows: ({ rule, call }) =>
      rule === 'reserved-control-bits' &&
      call !== null &&
      call.caller.isXen &&
      !call.caller.is64Bit &&
      call.reserved.low === xenHypervBit &&
      call.reserved.high === 0,
  },
  {
    name: 'xen-flag-alone',
    does: 'takes a VM that set KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL with MSR 0 for one of Xen only while some VM of the host has an MSR',
    means: 'intercept the hypercalls of a VM whose flags say so, whatever other VMs say (kvm_xen_hypercall_enabled)',
    source: 'kvm_xen_hvm_config, kvm_xen_hypercall_enabled',
    releases: '5.12 (7d6bbebb7bb0) to 7.3 at least',
    // With another VM beside it, as cases have it, KVM does what it means to do.
    shows: null,
  },
  {
    name: 'cr8-software-disabled',
    does: 'does not see that a guest lowers CR8 while its APIC is software-disabled, so a pending vector waits',
    means: 'let a software-disabled APIC deliver what it accepted before (kvm_apic_has_interrupt)',
    source: 'vcpu_enter_guest, kvm_lapic_enabled',
    releases: 'until 7.2 (bb365a506b1e), 6.12.115; 6.1.192 has it',
    shows: null,
  },
  {
    name: 'apicv-disabled-apic',
    does: 'leaves RVI and the TPR threshold as they were when APICv goes on or off for a vCPU whose APIC is disabled, so that a vector is lost, comes twice, or the VM entry fails',
    means: 'let a software-disabled APIC deliver what it accepted before, once (kvm_apic_has_interrupt)',
    source: '__kvm_vcpu_update_apicv, vcpu_enter_guest, kvm_lapic_enabled',
    releases: '5.6 (8df14af42f00) to 7.3 at least, on VMX with APICv',
    shows: null,
  },
  {
    name: 'restored-ppr',
    does: 'gives a fresh vCPU the PPR of TPR alone, whatever KVM_SET_LAPIC puts in service, until the vCPU runs',
    means: 'compute PPR of what is in service, as apic_update_ppr does for every other change',
    source: 'kvm_apic_set_state, apic_update_ppr, kvm_apic_update_apicv',
    releases: 'since isr_count came (8680b94b0e60, 3.6) to 7.3 at least',
    shows: ({ rule, lapics }) =>
      isMigration(rule) && lapics.some((lapic) => (lapic.get(APIC_PROCPRI) ?? 0) >>> 4 < priorityClass(lapic)),
  },
  {
    name: 'restored-hypercall-msr',
    does: 'drops a value of HV_X64_MSR_HYPERCALL that the host restores while GUEST_OS_ID is 0, and reads as 0 then',
    means: 'keep the page off without a GUEST_OS_ID; the value of a page that is off stays when GUEST_OS_ID becomes 0',
    source: 'kvm_hv_set_msr_pw',
    releases: '2.6.34 (55cd8e5a4edb) to 7.3 at least',
    shows: ({ rule }) => rule === 'migrate-without-hypercall',
  },
];

function isMigration(rule: string): boolean {
  return migrationRules.some((name) => name === rule);
}

/** One step of a program that shows a fault. */
export interface ShownFault {
  /** Position of the step. */
  readonly step: number;
  readonly fault: KvmFault;
}

/** The faults that a program shows, if KVM does what the model predicts. */
export function shownFaults({ steps }: Outcome): ShownFault[] {
  return steps.flatMap((done, step) => faultsShownBy(done).map((fault) => ({ step, fault })));
}

/** The same of one step. */
export function faultsShownBy(done: StepOutcome): KvmFault[] {
  return kvmFaults.filter(({ shows }) => shows?.(done) === true);
}

/** `KVM's own fault xen-page-32-bit (docs/findings/xen-page-32-bit.md)`. */
export function nameFault({ name }: KvmFault): string {
  return `KVM's own fault ${name} (docs/findings/${name}.md)`;
}
