/**
 * The machine between two steps, and what happens to it in steps of several kinds. Arrays that did not change are shared
 * between outcomes.
 */
import { APIC_IRR } from '../../src/abi/lapic.ts';
import { hasWideIds } from '../../src/case/vcpus/vcpu-id.ts';
import type { LapicChanges } from '../../src/program/observation.ts';
import type { Program } from '../../src/program/program.ts';
import { type Caller, pageCode } from '../call/caller.ts';
import type { Call } from '../call/decode.ts';
import type { Effects } from '../call/effects.ts';
import type { Contract } from '../contract.ts';
import { Lives } from './lives.ts';
import { type Apic, apicOf, presetLapic, vectorsOf } from './machine.ts';
import { ModelMemory } from './memory.ts';
import { RestoredVcpus } from '../migration.ts';
import { Msrs } from './msr-state.ts';
import type { StepOutcome } from '../outcome.ts';
import type { Model } from '../parts.ts';
import type { Arriving } from '../receivers/joined-arrivals.ts';
import { Phase } from '../receivers/phase.ts';
import { idlePosture, type Posture, takeAll, type Taken } from '../receivers/receiver.ts';

const noEffects: Effects = { result: null, exception: null, exit: null, registers: [] };
const nobody: readonly number[] = [];
const noWrites: StepOutcome['writes'] = [];

export class State {
  readonly program: Program;
  readonly contract: Contract;
  readonly model: Model;
  readonly memory = new ModelMemory();
  readonly msrs: Msrs;
  readonly lives: Lives;
  readonly restored = new RestoredVcpus();
  /** vCPUs that got INIT: they run no more. */
  readonly initialized = new Set<number>();
  readonly hasWideIds: boolean;
  readonly isConcurrent: boolean;
  /** Whether any vCPU takes its interrupts when they come. */
  readonly isHalting: boolean;
  readonly nothingArrives: Arriving;
  lapics: readonly LapicChanges[];
  apics: readonly Apic[];
  postures: readonly Posture[];
  /** As vCPUs were set up, with the auto-EOI vectors that their SINTs have by now. */
  setups: Program['vcpus'];
  /** The phase that a concurrent program is in; null between phases, and in a program whose steps follow each other. */
  phase: Phase | null = null;
  /** Callers of plain calls, by position, as far as they are known; they depend on GUEST_OS_ID. */
  readonly plainCallers: (Caller | undefined)[] = [];

  constructor(program: Program, contract: Contract, model: Model) {
    const { vcpus, machine } = program;
    this.program = program;
    this.contract = contract;
    this.model = model;
    this.msrs = new Msrs(program, model.vpIndexes(vcpus, contract), contract);
    this.lives = new Lives(vcpus);
    this.hasWideIds = hasWideIds(vcpus);
    this.isConcurrent = machine.schedule !== null;
    this.isHalting = vcpus.some(({ idle }) => idle === 'halted');
    const nothing = vcpus.map(() => []);
    this.nothingArrives = { arrivals: nothing, priorities: nothing };
    this.lapics = vcpus.map(presetLapic);
    this.apics = vcpus.map(apicOf);
    this.postures = vcpus.map(() => idlePosture);
    this.setups = vcpus;
  }

  get vpIndexes(): readonly number[] {
    return this.msrs.vpIndexes;
  }

  /** A step begins: in a concurrent program it may be the first of a phase. */
  begin(index: number): void {
    if (!this.isConcurrent || this.phase !== null) return;
    const pending = this.lapics.map((lapic) => vectorsOf(lapic, APIC_IRR));
    this.phase = new Phase(this.program, index, this.vpIndexes, this.msrs.state, pending);
  }

  /** A vCPU enters its guest. */
  enter(position: number): void {
    this.lapics = this.restored.enter(position, this.lapics);
  }

  /** A vCPU that does something else waits no more. */
  forget(position: number): void {
    const posture = this.postures[position]!;
    if (posture.waitsAt !== null) this.postures = this.postures.with(position, { ...posture, waitsAt: null });
  }

  setLapic(position: number, apic: Apic, lapic: LapicChanges): void {
    this.apics = this.apics.with(position, apic);
    this.lapics = this.lapics.with(position, lapic);
  }

  /** KVM writes its instruction into the hypercall page, if one is enabled (kvm_hv_set_msr_pw). */
  writePage(): StepOutcome['writes'] {
    const { page } = this.msrs;
    if (page === null) return noWrites;
    const isXen = this.program.machine.xen !== false && this.contract.interceptsXen;
    const write = { gpa: page, bytes: pageCode(this.contract, isXen) };
    this.memory.writeAsKvm(write);
    return [write];
  }

  /** These vCPUs take all that they can. */
  take(takers: readonly number[]): Arriving {
    if (takers.length === 0) return this.nothingArrives;
    return this.arrive(takers.map((at) => [at, takeAll(this.lapics[at]!, this.setups[at]!, this.model)] as const));
  }

  /** Notes what vCPUs took. */
  arrive(taken: readonly (readonly [position: number, taken: Taken])[]): Arriving {
    const lapics = [...this.lapics];
    const arrivals = [...this.nothingArrives.arrivals];
    const priorities = [...this.nothingArrives.priorities];
    for (const [position, each] of taken) {
      lapics[position] = each.lapic;
      if (each.vectors.length > 0) arrivals[position] = this.model.handlersFor(each.vectors);
      priorities[position] = each.priorities;
    }
    this.lapics = lapics;
    return { arrivals, priorities };
  }

  /** A step that is no call, after which everything is as it is now. */
  after(rule: string, arriving: Arriving = this.nothingArrives): StepOutcome {
    return this.outcome(rule, noEffects, null, nobody, arriving);
  }

  /** One place builds every outcome, field by field: they all have the same shape, and a spread would cost a copy. */
  outcome(
    rule: string,
    { result, exception, exit, registers }: Effects,
    call: Call | null,
    receivers: readonly number[],
    { arrivals, priorities }: Arriving,
  ): StepOutcome {
    return {
      rule,
      result,
      exception,
      exit,
      registers,
      call,
      vpIndexes: this.vpIndexes,
      writes: noWrites,
      receivers,
      arrivals,
      priorities,
      leeway: null,
      lapics: this.lapics,
      apics: this.apics,
      postures: this.postures,
    };
  }
}
