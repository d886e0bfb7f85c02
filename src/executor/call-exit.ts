/** Calls that leave the guest: the VMM, which is us, answers them. */
import type { CallExit } from '../program/observation.ts';
import { vmmResult } from '../program/program.ts';
import type { Vcpu } from '../kvm/kvm.ts';
import * as uapi from '../kvm/uapi.ts';

/** Answers a hypercall that KVM handed to us, if the last exit is one. */
export function answerExit(vcpu: Vcpu): Exclude<CallExit, 'no-code'> | null {
  const { reason } = vcpu;
  if (reason === uapi.KVM_EXIT_XEN) vcpu.answerHypercall(uapi.kvmRun.xenResult, BigInt(vmmResult));
  else if (reason === uapi.KVM_EXIT_HYPERV) vcpu.answerHypercall(uapi.kvmRun.hypervResult, BigInt(vmmResult));
  else return null;
  return reason === uapi.KVM_EXIT_XEN ? 'xen' : 'hyperv';
}
