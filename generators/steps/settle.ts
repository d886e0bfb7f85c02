/** Planned steps that are no calls, in a machine as earlier steps left it: what it cannot do is left out. */
import type { Machine } from '../../src/case/case.ts';
import { isSint } from '../../src/case/limits.ts';
import { canRun } from '../../src/case/machine.ts';
import type { ChangeStep, StepOf } from '../../src/case/steps/kinds.ts';
import { vcpuIdOf, xapicBroadcast } from '../../src/case/vcpus/vcpu-id.ts';
import { vcpuAt } from '../integers.ts';
import { largeVcpus } from '../swarm.ts';
import { effectiveVpIndexes } from '../machine/machine.ts';
import { pageOf, sintValue } from './change.ts';

/** What steps change of a machine, as far as later steps depend on it. */
export class MachineState {
  readonly machine: Machine;
  /** Pages that hold a hypercall instruction. */
  readonly pages: bigint[] = [];
  /** Whether a vCPU can be a sender: it runs and has got no INIT. */
  readonly runs: boolean[];
  /** Whether a vCPU can do something as a receiver. */
  readonly acts: boolean[];
  /** Whether its APIC is enabled in software as well: writes of CR8 need that (`checkCase`). */
  readonly isEnabled: boolean[];
  readonly vpIndexes: number[];
  readonly isHalting: boolean;
  readonly hasSints: readonly boolean[];
  /** The vector that a step gave to a SINT last; null where none did. */
  sintVector: number | null = null;

  constructor(machine: Machine) {
    const { vcpus } = machine;
    this.machine = machine;
    this.isHalting = vcpus.some(({ idle }) => idle === 'halted');
    this.runs = vcpus.map((_, position) => canRun(machine, position));
    this.acts = vcpus.map(({ idle, apic }) => idle === 'parked' && apic !== 'hardware-disabled' && !this.isHalting);
    this.isEnabled = vcpus.map(({ apic }) => apic === 'x2apic' || apic === 'xapic');
    this.vpIndexes = effectiveVpIndexes(machine);
    this.hasSints = vcpus.map(({ autoEoi }) => autoEoi.length > 0);
  }

  at(number: number): number {
    return vcpuAt(number, this.machine.vcpus.length);
  }

  get canChangeApics(): boolean {
    return this.machine.irqchip !== 'none' && !this.isHalting;
  }
}

/** The first position from one on, and then from the first, at which something holds; it holds somewhere. */
export function firstFrom(position: number, holds: readonly boolean[]): number {
  const count = holds.length;
  for (let place = position; ; place = (place + 1) % count) if (holds[place]) return place;
}

/** The step that becomes of a plan whose vCPU is as `vcpuAt` has it; null where the machine cannot do it. */
type Settle<Step> = (plan: Step, state: MachineState) => Step | null;

const settlers: { readonly [Kind in ChangeStep['do']]: Settle<StepOf<Kind>> } = {
  run: (plan) => plan,
  act(plan, state) {
    if (!state.acts.includes(true)) return null;
    const vcpu = firstFrom(state.at(plan.vcpu), state.acts);
    return { ...plan, by: plan.by === 'cr8' && !state.isEnabled[vcpu]! ? 'apic' : plan.by, vcpu };
  },
  'write-msr'(plan, state) {
    const named = state.at(plan.vcpu);
    // Others have no SINTs, where some have: a value that is refused says little.
    const vcpu = isSint(plan.msr) && state.hasSints.includes(true) ? firstFrom(named, state.hasSints) : named;
    const { autoEoi } = state.machine.vcpus[vcpu]!;
    const value = isSint(plan.msr) ? sintValue(plan.value, autoEoi) : plan.value;
    const step = { ...plan, vcpu, value };
    const page = pageOf(step);
    if (page !== null) state.pages.push(page);
    if (isSint(step.msr) && autoEoi.length > 0) state.sintVector = Number(value & 0xffn);
    if (step.msr === 'vp-index') state.vpIndexes[step.vcpu] = Number(step.value & 0xfffn);
    return step;
  },
  'read-msr'(plan, state) {
    const { machine, runs } = state;
    const vcpu = state.at(plan.vcpu);
    if (plan.msr === 'apic-base' && machine.irqchip === 'none') return null;
    const { lacks, autoEoi } = machine.vcpus[vcpu]!;
    const isThere = plan.msr === 'apic-base' || !lacks.includes('hyperv');
    const canRead = runs[vcpu]! && isThere && (!isSint(plan.msr) || autoEoi.length > 0);
    return { ...plan, vcpu, by: canRead ? plan.by : 'host' };
  },
  'set-apic'(plan, state) {
    if (!state.canChangeApics) return null;
    const vcpu = state.at(plan.vcpu);
    // A vCPU that got INIT, that waits for one, or whose APIC is hardware-disabled does nothing as a receiver.
    const isParked = state.machine.vcpus[vcpu]!.idle === 'parked';
    state.acts[vcpu] = plan.apic !== 'hardware-disabled' && isParked && state.runs[vcpu]!;
    state.isEnabled[vcpu] = plan.apic === 'enabled';
    return { ...plan, vcpu };
  },
  init(plan, state) {
    if (state.machine.irqchip === 'none') return null;
    const vcpu = state.at(plan.vcpu);
    // A message to that ID reaches every xAPIC.
    if (vcpuIdOf(state.machine.vcpus[vcpu]!, vcpu) === xapicBroadcast) return null;
    // Somebody must be left to send.
    if (state.runs.filter(Boolean).length - Number(state.runs[vcpu]) === 0) return null;
    state.runs[vcpu] = false;
    state.acts[vcpu] = false;
    return { ...plan, vcpu };
  },
  sipi(plan, state) {
    if (!state.canChangeApics) return null;
    // Most often one that waits for it.
    const waits = state.runs.map((runs) => !runs);
    const vcpu = state.at(plan.vcpu);
    return { ...plan, vcpu: waits.includes(true) && plan.page !== 0 ? firstFrom(vcpu, waits) : vcpu };
  },
  // A VM of hundreds of vCPUs takes seconds to make.
  migrate: (plan, { machine }) => (machine.vcpus.length > largeVcpus ? null : plan),
  vmm: (plan, { machine }) => (machine.vcpus.length > largeVcpus ? null : plan),
};

export function settle(plan: ChangeStep, state: MachineState): ChangeStep | null {
  return (settlers[plan.do] as Settle<ChangeStep>)(plan, state);
}
