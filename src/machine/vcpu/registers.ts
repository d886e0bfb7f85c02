/** The registers with which a vCPU runs the guest program. */
import { constantBytes } from '../../guest/constant-bytes.ts';
import { setSpecialRegisters } from '../../guest/image.ts';
import { encodePatches, type Script } from '../../hand/script.ts';
import * as uapi from '../../hand/uapi.ts';
import type { Slots } from '../vm/slots.ts';

/** Bit 1, which is always set. */
export const RFLAGS_FIXED = 0x2n;

export class Registers {
  readonly #slots: Slots;
  readonly #position: number;
  readonly #general = Buffer.alloc(uapi.sizes.kvm_regs);

  constructor(slots: Slots, position: number) {
    this.#slots = slots;
    this.#position = position;
  }

  /** Gives them to a vCPU, at that place; only right before it runs. */
  give(script: Script, vcpu: number, { rip, rflags = RFLAGS_FIXED }: { rip: number; rflags?: bigint }): void {
    const general = this.#general;
    general.writeBigUInt64LE(BigInt(rip), uapi.regs.rip);
    general.writeBigUInt64LE(rflags, uapi.regs.rflags);
    script.add('enter', { vcpu, specialPatches: this.#specialSlot(script), general });
  }

  #specialSlot(script: Script): number {
    return this.#slots.of(script, `home ${this.#position}`, () =>
      encodePatches(constantBytes(uapi.sizes.kvm_sregs, (buffer) => setSpecialRegisters(buffer, this.#position))),
    );
  }
}
