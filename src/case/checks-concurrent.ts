/**
 * What a concurrent case may hold: calls that need nothing but their sender's ring, made by vCPUs that do nothing else,
 * and changes that KVM makes while others run.
 */
import { extendedCallBit } from '../abi/hypercall.ts';
import type { CaseIssue } from './issue.ts';
import { caseLimits, runsMeanwhile } from './limits.ts';
import type { CallStep, Machine, Step } from './schema.ts';

export function* checkConcurrentMachine({ irqchip, xen, schedule, vcpus }: Machine): Generator<CaseIssue> {
  if (schedule !== null && (irqchip !== 'kernel' || xen)) {
    yield { path: ['machine', 'schedule'], message: 'a concurrent case has irqchip kernel and no xen' };
  }
  if (schedule !== null && vcpus.length > caseLimits.threads) {
    yield { path: ['machine', 'vcpus'], message: `a concurrent case has at most ${caseLimits.threads} vCPUs` };
  }
  for (const [position, vcpu] of vcpus.entries()) {
    const { idle, vcpuId, apic, eoi, autoEoi, logsPpr } = vcpu;
    const at = (name: string, message: string): CaseIssue => ({ path: ['machine', 'vcpus', position, name], message });
    if (idle === 'spinning' && schedule === null) yield at('idle', 'only a concurrent case has spinning vCPUs');
    if (idle === 'spinning' && vcpuId !== null) yield at('vcpuId', 'a spinning vCPU has none of its own');
    const isAcknowledged = (eoi === 'hv-msr' || eoi === 'apic') && autoEoi.length === 0 && !logsPpr;
    if (schedule !== null && !isAcknowledged) {
      yield at('eoi', 'handlers of a concurrent case acknowledge by MSR or APIC, without auto-EOI and logsPpr');
    }
    if (schedule !== null && runsMeanwhile(vcpu) && apic === 'hardware-disabled') {
      yield at('apic', `a vCPU that is ${idle} in a concurrent case has an APIC`);
    }
  }
}

export function* checkConcurrentStep(
  step: Step,
  { vcpus }: Machine,
  senders: ReadonlySet<number>,
  at: (name: string, message: string) => CaseIssue,
): Generator<CaseIssue> {
  if (step.do === 'run') return;
  if (step.do === 'send-ipi' || step.do === 'send-ipi-ex') {
    if (vcpus[step.sender]!.idle !== 'parked') yield at('sender', 'in a concurrent case only parked vCPUs send');
    if (!isRingCall(step)) {
      yield at('mode', 'concurrent calls are plain: long mode, CPL 0, native, no page, no gpa, no control bit 15');
    }
    return;
  }
  if (step.do !== 'write-msr' || step.msr !== 'vp-index') yield at('do', 'a concurrent case has no such step');
  // KVM_SET_MSRS would wait for the vCPU's KVM_RUN to end.
  else if (runsMeanwhile(vcpus[step.vcpu]!) || senders.has(step.vcpu)) {
    yield at('vcpu', 'in a concurrent case the VP index changes only of vCPUs that do not run');
  }
}

/** Whether a call needs nothing but its sender's ring and a slot of memory of its own. */
export function isRingCall({ mode, cpl, page, opcode, gpa, controlBits }: CallStep): boolean {
  const isPlain = mode === 'long' && cpl === 0 && page === null && opcode === 'native';
  return isPlain && gpa === null && !controlBits.includes(extendedCallBit);
}
