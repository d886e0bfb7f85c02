/** A second VM of the same platform on the same memory, to which the state of the first one is moved. */
import { HV_X64_MSR_GUEST_OS_ID, HV_X64_MSR_HYPERCALL } from '../../abi/hyperv.ts';
import type { Script } from '../../hand/script.ts';
import type { Program } from '../../program/program.ts';
import { addMemslots } from './memslots.ts';
import { moveMsrs } from './migration.ts';
import type { ObjectNumbers, VmNumbers } from './object-numbers.ts';
import { addMsrs } from '../vcpu/msrs.ts';
import { addPlatform } from './platform.ts';
import type { Read } from '../writer.ts';
import type { Vcpu } from '../vcpu/vcpu.ts';

export class SpareVm {
  readonly #numbers: VmNumbers;
  readonly #all: ObjectNumbers;
  /** Whether vectors may have been in service in it when the state was moved away. */
  #mayBeInService = false;

  /** Of each vCPU, as `Vcpu.mayLag`. */
  #mayLag: boolean[];

  /** Makes it beside the VM with these numbers. */
  constructor(script: Script, all: ObjectNumbers, of: VmNumbers, vcpus: readonly Vcpu[], program: Program) {
    this.#all = all;
    this.#numbers = all.take(vcpus.length);
    this.#mayLag = vcpus.map(() => false);
    const { vm, firstVcpu } = this.#numbers;
    script.add('createTwin', { vm, of: of.vm });
    addPlatform(script, vm, program.machine, program.vcpus);
    addMemslots(script, vm, vcpus.length);
    for (const [position, vcpu] of vcpus.entries()) {
      vcpu.createAs(script, vm, firstVcpu + position, program.vcpus[position]!);
    }
  }

  /** Makes its vCPUs as fresh ones are, before state is moved into them. */
  catchUp(script: Script, vcpus: readonly Vcpu[]): Read<void> {
    const reads = vcpus.flatMap((vcpu, position) =>
      this.#mayLag[position]! ? [vcpu.catchUpAs(script, this.#numbers.firstVcpu + position)] : [],
    );
    this.#mayLag.fill(false);
    return (record) => {
      for (const read of reads) read(record);
    };
  }

  /** Moves the state of the VM with these numbers into this one; then they swap their numbers. */
  takeOver(script: Script, from: VmNumbers, vcpus: readonly Vcpu[], program: Program, forgetsPage: boolean): void {
    const { vm: otherVm, firstVcpu: otherVcpu } = this.#numbers;
    const setups = program.vcpus;
    for (const [position, vcpu] of vcpus.entries()) {
      vcpu.moveTo(script, otherVcpu + position, setups[position]!, this.#mayBeInService);
    }
    // KVM takes a page while GUEST_OS_ID is not 0 (kvm_hv_set_msr_pw), so that comes first. A fresh VM has no page.
    const owner = msrOwnerOf(setups);
    if (forgetsPage) forgetPage(script, otherVcpu + owner);
    const indexes = [HV_X64_MSR_GUEST_OS_ID, HV_X64_MSR_HYPERCALL];
    moveMsrs(script, vcpus[owner]!.object, otherVcpu + owner, indexes);
    script.add('swapVms', { vm: from.vm, otherVm, vcpu: from.firstVcpu, otherVcpu, count: vcpus.length });
    const lagsNow = vcpus.map(({ mayLag }) => mayLag);
    for (const [position, vcpu] of vcpus.entries()) vcpu.mayLag = this.#mayLag[position]!;
    this.#mayLag = lagsNow;
    this.#mayBeInService = vcpus.some(({ lapic }, at) => lapic.mayBeInService || setups[at]!.isr.length > 0);
  }

  drop(script: Script, later: boolean): void {
    script.add('dropVm', { vm: this.#numbers.vm, later: Number(later) });
    this.#all.giveBack(this.#numbers);
  }
}

/**
 * The vCPU through which MSRs of the VM are written. It gets its Hyper-V context by that (kvm_hv_vcpu_init): one that is to have
 * none is left alone.
 */
export function msrOwnerOf(vcpus: Program['vcpus']): number {
  return Math.max(
    0,
    vcpus.findIndex(({ lacks }) => !lacks.includes('hyperv')),
  );
}

/** Makes HV_X64_MSR_HYPERCALL 0, which KVM takes while GUEST_OS_ID is not 0 (kvm_hv_set_msr_pw). */
export function forgetPage(script: Script, vcpu: number): void {
  addMsrs(script, vcpu, [
    { index: HV_X64_MSR_GUEST_OS_ID, value: 1n },
    { index: HV_X64_MSR_HYPERCALL, value: 0n },
  ]);
}
