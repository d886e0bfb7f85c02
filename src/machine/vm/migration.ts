/**
 * Moves the state of a vCPU to another VM: what a VMM saves and restores for a live migration. State that no case can
 * change is left out: XCR0 (the guest program has no OSXSAVE), clocks and timers, the PICs and the IOAPIC.
 */
import * as hyperv from '../../abi/hyperv.ts';
import { APIC_ISR } from '../../abi/lapic.ts';
import { sintCount } from '../../case/limits.ts';
import { encodePatches, noPatches, type Script, wordPatch } from '../../hand/script.ts';
import * as uapi from '../../hand/uapi.ts';
import { msrsArgument } from '../vcpu/msrs.ts';

/** What a vCPU has. */
export interface VcpuParts {
  readonly hasLapic: boolean;
  /** A Hyper-V context in KVM: without one it gets none by being asked for MSRs. */
  readonly hasHyperv: boolean;
  readonly hasSynic: boolean;
  /** Whether the LAPIC is hardware-disabled. */
  readonly isOff: boolean;
  /** Whether the vCPU that it goes to may have vectors in service, from when it was last left. */
  readonly mayBeInServiceThere: boolean;
}

const noArgument = Buffer.alloc(0);
const noneInService = encodePatches(Array.from({ length: 8 }, (_, word) => wordPatch(APIC_ISR + 0x10 * word, 0)));

/**
 * Adds the moves. KVM_GET_MP_STATE comes first because KVM acts on an INIT that is pending there, which resets the rest;
 * the special registers before the LAPIC, since the APIC's base and CR8 are among them; the events last, because setting
 * registers drops them.
 */
export function moveVcpu(script: Script, from: number, to: number, parts: VcpuParts): void {
  const move = (get: number, set: number, patches: Uint8Array = noPatches): void =>
    script.add('ioctlMove', { from, to, get, set, argument: noArgument, patches });
  // What an exit has left to do is done by the next KVM_RUN, and would be lost.
  script.add('completeExit', { vcpu: from });
  move(uapi.KVM_GET_MP_STATE, uapi.KVM_SET_MP_STATE);
  move(uapi.KVM_GET_REGS, uapi.KVM_SET_REGS);
  move(uapi.KVM_GET_SREGS, uapi.KVM_SET_SREGS);
  // For old VMMs KVM lets vCPU 0 run when it gets the registers of a reset (__set_sregs_common).
  move(uapi.KVM_GET_MP_STATE, uapi.KVM_SET_MP_STATE);
  move(uapi.KVM_GET_XSAVE, uapi.KVM_SET_XSAVE);
  move(uapi.KVM_GET_DEBUGREGS, uapi.KVM_SET_DEBUGREGS);
  if (parts.hasLapic) {
    // What a fresh vCPU has in service is nothing, and KVM computes PPR from that (kvm_apic_set_state).
    if (parts.mayBeInServiceThere) move(uapi.KVM_GET_LAPIC, uapi.KVM_SET_LAPIC, noneInService);
    move(uapi.KVM_GET_LAPIC, uapi.KVM_SET_LAPIC);
    // Of one that is off nobody sees PPR, and when KVM would mend it depends on what else it does.
    if (parts.isOff) move(uapi.KVM_GET_LAPIC, uapi.KVM_SET_LAPIC);
  }
  const indexes = [
    ...(parts.hasHyperv ? [hyperv.HV_X64_MSR_VP_INDEX] : []),
    ...(parts.hasHyperv && parts.hasLapic ? [hyperv.HV_X64_MSR_VP_ASSIST_PAGE] : []),
    ...(parts.hasSynic ? synicMsrs : []),
  ];
  if (indexes.length > 0) moveMsrs(script, from, to, indexes);
  move(uapi.KVM_GET_VCPU_EVENTS, uapi.KVM_SET_VCPU_EVENTS);
}

const synicMsrs = [
  hyperv.HV_X64_MSR_SCONTROL,
  hyperv.HV_X64_MSR_SIEFP,
  hyperv.HV_X64_MSR_SIMP,
  ...Array.from({ length: sintCount }, (_, sint) => hyperv.HV_X64_MSR_SINT0 + sint),
];

/** Moves MSRs, in this order. */
export function moveMsrs(script: Script, from: number, to: number, indexes: readonly number[]): void {
  const argument = msrsArgument(indexes.map((index) => ({ index, value: 0n })));
  script.add('ioctlMove', { from, to, get: uapi.KVM_GET_MSRS, set: uapi.KVM_SET_MSRS, argument, patches: noPatches });
}
