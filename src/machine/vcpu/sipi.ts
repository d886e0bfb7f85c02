/** MP states as ioctls, and what is read of a vCPU after INIT or a start-up IPI. */
import { objectKinds } from '../../hand/operations.ts';
import type { Script } from '../../hand/script.ts';
import * as uapi from '../../hand/uapi.ts';
import type { Read } from '../writer.ts';

export function addMpState(script: Script, vcpu: number, mpState: number): void {
  const argument = Buffer.alloc(uapi.sizes.kvm_mp_state);
  argument.writeUInt32LE(mpState, 0);
  const request = uapi.KVM_SET_MP_STATE;
  script.add('ioctl', { kind: objectKinds.vcpu, object: vcpu, request, record: 0, argument });
}

/** Reads the MP state; KVM acts first on what is pending (kvm_arch_vcpu_ioctl_get_mpstate). */
export function readMpState(script: Script, vcpu: number): Read<number> {
  const read = get(script, vcpu, uapi.KVM_GET_MP_STATE, uapi.sizes.kvm_mp_state);
  return (record) => read(record).readUInt32LE(0);
}

/** The MP state, and above 16 bits the selector of CS where that is to be told. */
export function readStart(script: Script, vcpu: number, tellsSelector: boolean): Read<bigint> {
  const readState = readMpState(script, vcpu);
  if (!tellsSelector) return (record) => BigInt(readState(record));
  const readRegisters = get(script, vcpu, uapi.KVM_GET_SREGS, uapi.sizes.kvm_sregs);
  return (record) => {
    const mpState = readState(record);
    const selector = readRegisters(record).readUInt16LE(uapi.sregs.cs + uapi.segmentSelector);
    return BigInt(mpState) | (BigInt(selector) << 16n);
  };
}

function get(script: Script, vcpu: number, request: number, size: number): Read<Buffer> {
  const argument = Buffer.alloc(size);
  script.add('ioctl', { kind: objectKinds.vcpu, object: vcpu, request, record: 2, argument });
  return (record) => record.ioctl().argument;
}
