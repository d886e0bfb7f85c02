/** States of vCPUs as bytes: what LAPICs differ in, and what a fence found. */
import type { Reader, Writer } from './bytes.ts';
import { type LapicChanges, type Leftover, type VcpuState, waits } from '../program/observation.ts';

/** Registers of struct kvm_regs. */
const registerCount = 18;

export function encodeLapic(out: Writer, changes: LapicChanges): void {
  out.u8(changes.size);
  for (const [offset, value] of changes) {
    out.u16(offset);
    out.u32(value);
  }
}

export function decodeLapic(input: Reader): LapicChanges {
  const changes = new Map<number, number>();
  for (let count = input.u8(); count > 0; count--) {
    const offset = input.u16();
    changes.set(offset, input.u32());
  }
  return changes;
}

export function encodeLeftovers(out: Writer, leftovers: readonly Leftover[]): void {
  out.u8(leftovers.length);
  for (const { vcpu, wait, states } of leftovers) {
    out.u16(vcpu);
    out.u8(waits.indexOf(wait));
    for (const { mpState, registers, lapic } of states) {
      out.u8(mpState);
      for (const register of registers) out.u64(register);
      encodeLapic(out, lapic);
    }
  }
}

/** Each has the states of all vCPUs. */
export function decodeLeftovers(input: Reader, vcpuCount: number): Leftover[] {
  const state = (): VcpuState => ({
    mpState: input.u8(),
    registers: input.times(registerCount, () => input.u64()),
    lapic: decodeLapic(input),
  });
  return input.times(input.u8(), () => ({
    vcpu: input.u16(),
    wait: waits[input.u8()]!,
    states: input.times(vcpuCount, state),
  }));
}
