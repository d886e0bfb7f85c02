/**
 * Threads of the hand, one for each vCPU that runs beside others. A vCPU that changes its thread waits for an RCU
 * grace period (kvm_vcpu_ioctl), so it keeps the thread it got.
 */
import { handLimits } from '../hand/operations.ts';
import type { Vm } from './vm/vm.ts';

/** Gives each of these vCPUs a thread that none of the others has. */
export function giveThreads(vm: Vm, positions: readonly number[]): void {
  const used = new Set(positions.map((position) => vm.vcpuAt(position).thread));
  for (const position of positions) {
    const vcpu = vm.vcpuAt(position);
    if (vcpu.thread !== 0) continue;
    let thread = 1 + (position % handLimits.threads);
    while (used.has(thread)) thread = 1 + (thread % handLimits.threads);
    vcpu.thread = thread;
    used.add(thread);
  }
}
