/** A machine as earlier steps left it, as far as later ones depend on that. */
import type { Machine, Step } from '../../src/case/case.ts';
import { checkStep, stepsContext } from '../../src/case/checks.ts';
import { canRun } from '../../src/case/machine.ts';
import type { StepContext } from '../../src/case/steps/step-kind.ts';
import { vcpuAt } from '../integers.ts';
import { effectiveVpIndexes } from '../machine/machine.ts';

/** The vector that a SINT of a vCPU was given. */
export interface GivenSint {
  /** Position of the vCPU. */
  readonly vcpu: number;
  readonly vector: number;
}

export class MachineState {
  readonly machine: Machine;
  /** Pages that hold a hypercall instruction. */
  readonly pages: bigint[] = [];
  readonly vpIndexes: number[];
  /** What a step gave to a SINT last; null where none did. */
  sint: GivenSint | null = null;
  /** Whether callers can have interrupts on. */
  readonly canOpen: boolean;
  readonly #context: StepContext;
  readonly #isHalting: boolean;

  constructor(machine: Machine) {
    this.machine = machine;
    this.#context = { ...stepsContext({ machine, steps: [] }), at: (field, message) => ({ path: [field], message }) };
    this.#isHalting = machine.vcpus.some(({ idle }) => idle === 'halted');
    this.canOpen = machine.irqchip !== 'none' && !this.#isHalting;
    this.vpIndexes = effectiveVpIndexes(machine);
  }

  /** Position of the vCPU that a plan means. */
  at(number: number): number {
    return vcpuAt(number, this.machine.vcpus.length);
  }

  /** The first position from one on, and then from the first, at which something holds; null where it does nowhere. */
  firstFrom(position: number, holds: (position: number) => boolean): number | null {
    const count = this.machine.vcpus.length;
    for (let place = 0; place < count; place++) {
      const other = (position + place) % count;
      if (holds(other)) return other;
    }
    return null;
  }

  /** Position of the sender that a plan means; there always is one. */
  senderFrom(number: number): number {
    const position = this.at(number);
    return this.runs(position) ? position : this.firstFrom(position, (other) => this.runs(other))!;
  }

  /** Whether a vCPU can be a sender: it runs and has got no INIT. */
  runs(position: number): boolean {
    return canRun(this.machine, position) && !this.#context.initialized.has(position);
  }

  /** Whether a vCPU can do something as a receiver. */
  acts(position: number): boolean {
    const isParked = this.machine.vcpus[position]!.idle === 'parked' && !this.#isHalting;
    return isParked && this.#context.apics[position] !== 'hardware-disabled' && this.runs(position);
  }

  /** Whether its APIC is enabled in software as well: writes of CR8 need that (`checkAct`). */
  isEnabled(position: number): boolean {
    return this.#context.apics[position] === 'enabled';
  }

  /** Does a step that the machine can do; whether it can. */
  does(step: Step): boolean {
    return checkStep(step, this.#context).next().done === true;
  }
}
