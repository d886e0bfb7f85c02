/**
 * Brings RVI, SVI and the TPR threshold to their values in a fresh vCPU, before a program that disables its APIC. KVM
 * keeps them in the VMCS. It writes RVI and SVI while APICv is active for the vCPU, the threshold while it is not, and
 * none of them at an entry with a disabled APIC (kvm_lapic_enabled in vcpu_enter_guest). APICv goes off at an entry
 * with a hardware-disabled APIC or an auto-EOI vector in the VM (__kvm_vcpu_update_apicv). If it never was off,
 * setting the LAPIC writes what is needed (kvm_apic_set_state). Otherwise the vCPU runs once without an APIC and once
 * with an empty one. See docs/findings/apicv-disabled-apic.md.
 */
import { MSR_IA32_APICBASE } from '../../abi/lapic.ts';
import type { VcpuSetup } from '../../case/case.ts';
import type { GuestCode } from '../../guest/program.ts';
import { ports } from '../../guest/memory-map.ts';
import type { Script } from '../../hand/script.ts';
import { KVM_MP_STATE_RUNNABLE } from '../../hand/uapi.ts';
import type { Program } from '../../program/program.ts';
import { expectExit } from '../stop.ts';
import type { Read } from '../writer.ts';
import { addEmpty, addSpurious, apicBase } from './lapic-page.ts';
import { addMsrs } from './msrs.ts';
import type { Registers } from './registers.ts';
import { addMpState } from './sipi.ts';

/** @param vcpu the hand's object, of that vCPU or of one like it. It is runnable then and at home, with an enabled and empty xAPIC. */
export function addCatchUp(
  script: Script,
  vcpu: number,
  { id, thread, position }: { readonly id: number; readonly thread: number; readonly position: number },
  code: GuestCode,
  registers: Registers,
): Read<void> {
  // Up to its home and no further: what its last exit was for is done before, or KVM takes the `out` for that one.
  const idleOnce = (): Read<void> => {
    script.add('completeExit', { vcpu });
    registers.give(script, vcpu, { rip: code.idle });
    script.add('run', { vcpu, thread, port: ports.idle, otherPort: ports.idle, answer: 0, watch: 0, lenient: 0 });
    return (record) => expectExit(position, record.exit(), code);
  };
  addMpState(script, vcpu, KVM_MP_STATE_RUNNABLE);
  // No threshold is above that TPR, or the CPU would refuse the entry (SDM volume 3, checks on VM-execution control fields).
  addEmpty(script, vcpu, 0xf0);
  addMsrs(script, vcpu, [{ index: MSR_IA32_APICBASE, value: apicBase(id, 'hardware-disabled') }]);
  const readWithout = idleOnce();
  addEmpty(script, vcpu, 0);
  addMsrs(script, vcpu, [{ index: MSR_IA32_APICBASE, value: apicBase(id, 'xapic') }]);
  addSpurious(script, vcpu, 'xapic');
  const readEmpty = idleOnce();
  return (record) => {
    readWithout(record);
    readEmpty(record);
  };
}

/** Whether the APIC of a vCPU is disabled when a program begins, or becomes so. */
export function disablesApic({ apic }: VcpuSetup, steps: Program['steps'], position: number): boolean {
  if (apic === 'software-disabled' || apic === 'hardware-disabled') return true;
  return steps.some((step) => (step.kind === 'set-apic' || step.kind === 'init') && step.vcpu === position);
}
