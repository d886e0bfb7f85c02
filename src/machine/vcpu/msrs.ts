/** MSRs of a vCPU, as the host writes and reads them. */
import { objectKinds } from '../../hand/operations.ts';
import type { IoctlRecord } from '../../hand/record.ts';
import type { Script } from '../../hand/script.ts';
import * as uapi from '../../hand/uapi.ts';
import type { Read } from '../writer.ts';

export interface MsrEntry {
  readonly index: number;
  readonly value: bigint;
}

/** struct kvm_msrs. KVM does the entries one after the other, up to the first that it refuses, and gives how many. */
export function msrsArgument(entries: readonly MsrEntry[]): Buffer {
  const argument = Buffer.alloc(msrAt(entries.length));
  argument.writeUInt32LE(entries.length, 0);
  for (const [place, { index, value }] of entries.entries()) {
    argument.writeUInt32LE(index, msrAt(place));
    argument.writeBigUInt64LE(value, msrAt(place) + 8);
  }
  return argument;
}

/** Writes MSRs, which KVM must take. */
export function addMsrs(script: Script, vcpu: number, entries: readonly MsrEntry[]): void {
  addIoctl(script, vcpu, uapi.KVM_SET_MSRS, entries, 0);
}

/** Writes MSRs; how many of them KVM took. */
export function tryMsrs(script: Script, vcpu: number, entries: readonly MsrEntry[]): Read<number> {
  addIoctl(script, vcpu, uapi.KVM_SET_MSRS, entries, 1);
  return (record) => record.i32();
}

/** Writes an MSR; whether KVM took the value. */
export function tryMsr(script: Script, vcpu: number, index: number, value: bigint): Read<boolean> {
  const read = tryMsrs(script, vcpu, [{ index, value }]);
  return (record) => read(record) === 1;
}

/** Reads an MSR; null where KVM does not give it. */
export function readMsr(script: Script, vcpu: number, index: number): Read<bigint | null> {
  addIoctl(script, vcpu, uapi.KVM_GET_MSRS, [{ index, value: 0n }], 2);
  return (record) => firstMsr(record.ioctl());
}

/** The value of the first entry; null unless KVM_GET_MSRS did that one. */
export function firstMsr({ result, argument }: IoctlRecord): bigint | null {
  return result === 1 ? argument.readBigUInt64LE(msrAt(0) + 8) : null;
}

function addIoctl(
  script: Script,
  vcpu: number,
  request: number,
  entries: readonly MsrEntry[],
  record: 0 | 1 | 2,
): void {
  const argument = msrsArgument(entries);
  script.add('ioctl', { kind: objectKinds.vcpu, object: vcpu, request, record, argument });
}

function msrAt(place: number): number {
  return uapi.sizes.kvm_msrs + place * uapi.sizes.kvm_msr_entry;
}
