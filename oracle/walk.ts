/** The walk through a program: decode, first rule that applies, targets, what each vCPU does. */
import { APIC_IRR } from '../src/abi/lapic.ts';
import { runsMeanwhile } from '../src/case/limits.ts';
import type { LapicChanges } from '../src/program/observation.ts';
import {
  isRingEnvironment,
  opensInterrupts,
  plainEnvironment,
  type Program,
  type ProgramAct,
  type ProgramCall,
  type ProgramInit,
  type ProgramSetApic,
  type ProgramStep,
  type ProgramWriteMsr,
} from '../src/program/program.ts';
import { hasWideIds, vcpuIdOf } from '../src/case/vcpus/vcpu-id.ts';
import { atInstruction, type Caller, callerOf, pageCode } from './call/caller.ts';
import type { Contract } from './contract.ts';
import type { Call } from './call/decode.ts';
import { type Effects, effectsOf, notMade } from './call/effects.ts';
import {
  type Apic,
  apicOf,
  canTake,
  changedApic,
  initializedLapic,
  presetLapic,
  untouchedLapic,
  vectorsOf,
  withApic,
} from './state/machine.ts';
import { Lives } from './state/lives.ts';
import { ModelMemory } from './state/memory.ts';
import { RestoredVcpus } from './migration.ts';
import { Msrs } from './state/msr-state.ts';
import { type Arriving, joinedArrivals } from './receivers/joined-arrivals.ts';
import type { StepOutcome } from './outcome.ts';
import { Phase } from './receivers/phase.ts';
import { idlePosture, perform, type Posture, takeAll, type Taken } from './receivers/receiver.ts';
import { decide, type Reach } from './call/rules.ts';
import type { Model } from './parts.ts';
import { whoSetsOut } from './vmm.ts';

const noEffects: Effects = { result: null, exception: null, exit: null, registers: [] };
const nobody: readonly number[] = [];
const noWrites: StepOutcome['writes'] = [];

/** The machine between two steps. Arrays that did not change are shared between outcomes. */
export class Walk {
  readonly memory = new ModelMemory();
  lapics: readonly LapicChanges[];
  readonly #program: Program;
  readonly #contract: Contract;
  readonly #model: Model;
  readonly #nothingArrives: Arriving;
  /** vCPUs that got INIT: they run no more. */
  readonly #initialized = new Set<number>();
  readonly #isXen: boolean;
  readonly #hasWideIds: boolean;
  readonly #isConcurrent: boolean;
  /** Whether any vCPU takes its interrupts when they come. */
  readonly #isHalting: boolean;
  /** The phase that the walk is in; null between phases and in a program whose steps follow each other. */
  #phase: Phase | null = null;
  readonly #plainCallers: (Caller | undefined)[] = [];
  #apics: readonly Apic[];
  #postures: readonly Posture[];
  readonly #msrs: Msrs;
  readonly #lives: Lives;
  /** As vCPUs were set up, with the auto-EOI vectors that their SINTs have by now. */
  #setups: Program['vcpus'];
  readonly #restored = new RestoredVcpus();

  constructor(program: Program, contract: Contract, model: Model) {
    this.#program = program;
    this.#contract = contract;
    this.#model = model;
    this.#msrs = new Msrs(program, model.vpIndexes(program.vcpus, contract), contract);
    this.#setups = program.vcpus;
    this.#lives = new Lives(program.vcpus);
    this.lapics = program.vcpus.map(presetLapic);
    this.#apics = program.vcpus.map(apicOf);
    this.#postures = program.vcpus.map(() => idlePosture);
    const nothing = program.vcpus.map(() => []);
    this.#nothingArrives = { arrivals: nothing, priorities: nothing };
    this.#hasWideIds = hasWideIds(program.vcpus);
    this.#isConcurrent = program.machine.schedule !== null;
    this.#isHalting = program.vcpus.some(({ idle }) => idle === 'halted');
    this.#isXen = program.machine.xen !== false && contract.interceptsXen;
  }

  get vpIndexes(): readonly number[] {
    return this.#msrs.vpIndexes;
  }

  step(step: ProgramStep, index: number): StepOutcome {
    if (this.#isConcurrent && this.#phase === null) this.#beginPhase(index);
    switch (step.kind) {
      case 'call':
        return this.#call(step);
      case 'run':
        return this.#runAll();
      case 'act':
        return this.#after(step.act, this.#act(step));
      case 'write-msr':
        return this.#writeMsr(step);
      case 'set-apic':
        this.#changeApic(step);
        return this.#after('set-apic');
      case 'init':
        this.#init(step);
        return this.#after('init');
      case 'sipi': {
        const { isHardwareEnabled } = this.#apics[step.vcpu]!;
        const { rule, result } = this.#lives.sipi(step.vcpu, step.page, isHardwareEnabled);
        return { ...this.#after(rule), result };
      }
      case 'read-msr':
        if (step.by === 'guest') this.#enter(step.vcpu);
        return { ...this.#after('read-msr'), result: this.#msrs.read(step, this.#apics[step.vcpu]!) };
      case 'migrate':
        return this.#migrate();
      case 'vmm':
        for (const position of whoSetsOut(step, this.#program, this.#initialized, this.#postures))
          this.#enter(position);
        return this.#after(step.does);
    }
  }

  /** A caller with interrupts on takes what is pending in front of the call, and behind one that raises no exception. */
  #call(step: ProgramCall): StepOutcome {
    if (!opensInterrupts(step)) return this.#makeCall(step);
    const { sender } = step;
    const before = this.#takeOpen(sender);
    const made = this.#makeCall(step);
    const after = made.exception === null ? this.#takeOpen(sender) : this.#nothingArrives;
    return { ...made, ...joinedArrivals(before, after), lapics: this.lapics };
  }

  #takeOpen(position: number): Arriving {
    this.#enter(position);
    return this.#apics[position]!.isHardwareEnabled ? this.#take([position]) : this.#nothingArrives;
  }

  #makeCall(step: ProgramCall): StepOutcome {
    for (let place = 0; place < step.writes.length; place++) this.memory.write(step.writes[place]!);
    const made = atInstruction(step, this.memory, this.#contract);
    if (made === null) {
      // Through the ring, the guest program runs all the same.
      if (isRingEnvironment(step.environment)) this.#enter(step.sender);
      return this.#outcome('no-hypercall-in-page', notMade, null, nobody, this.#nothingArrives);
    }
    const call = this.#model.decode(made.registers, this.memory, this.#contract, this.#callerOf(step));
    const rule = decide(this.#model.rules, call, this.#contract);
    const { reach } = rule;
    const receivers =
      this.#phase === null
        ? this.#reached(call, reach, this.vpIndexes, step.sender)
        : this.#phase.send(call.vector & 0xff, (vpIndexes) => this.#reached(call, reach, vpIndexes, step.sender));
    this.#forget(step.sender);
    this.#enter(step.sender);
    const arriving = this.#deliver(receivers, call.vector);
    const effects = effectsOf(rule, step, made, this.#contract, this.#model, this.#program.machine.vmmAnswer);
    return this.#outcome(rule.name, effects, call, receivers, arriving);
  }

  /** Positions of the vCPUs that get a call if these are the VP indexes. */
  #reached(call: Call, reach: Reach, vpIndexes: readonly number[], sender: number): readonly number[] {
    const selected = this.#model.select(call, reach, vpIndexes, sender);
    return selected.length === 0 ? nobody : selected.filter((position) => this.#model.accepts(this.#apics[position]!));
  }

  /** Most calls are plain ones by the same few vCPUs: their callers are made once. */
  #callerOf({ environment, sender }: ProgramCall): Caller {
    const known = environment === plainEnvironment ? this.#plainCallers[sender] : undefined;
    if (known !== undefined) return known;
    const caller = callerOf(this.#program, sender, environment, this.#msrs.state.guestOsId, this.#contract);
    if (environment === plainEnvironment) this.#plainCallers[sender] = caller;
    return caller;
  }

  #beginPhase(first: number): void {
    const pending = this.lapics.map((lapic) => vectorsOf(lapic, APIC_IRR));
    this.#phase = new Phase(this.#program, first, this.vpIndexes, this.#msrs.state, pending);
  }

  /** A `run` step, which in a concurrent program is the fence of its phase. */
  #runAll(): StepOutcome {
    const before = this.lapics;
    const takers = this.#takers();
    for (const position of takers) this.#enter(position);
    for (const position of this.#postures.keys()) this.#forget(position);
    const outcome = this.#after('run', this.#take(takers));
    const leeway = this.#phase?.leeway((position, vector) => {
      return takers.includes(position) && canTake(before[position]!, vector);
    });
    this.#phase = null;
    return { ...outcome, leeway: leeway ?? null };
  }

  /** Parked vCPUs whose LAPIC is not hardware-disabled take what is pending (docs/semantics.md 5.5 and 5.6). */
  #takers(): number[] {
    return this.#program.vcpus.flatMap((vcpu, position) => {
      const runs = vcpu.idle === 'parked' || (this.#isConcurrent && runsMeanwhile(vcpu));
      return runs && !this.#initialized.has(position) && this.#apics[position]!.isHardwareEnabled ? [position] : [];
    });
  }

  #act(step: ProgramAct): Arriving {
    const { vcpu } = step;
    if (step.act !== 'wait' || step.at === 'open') this.#enter(vcpu);
    const state = { lapic: this.lapics[vcpu]!, posture: this.#postures[vcpu]!, setup: this.#setups[vcpu]! };
    const { posture, ...taken } = perform(step, state, this.#model);
    this.#postures = this.#postures.with(vcpu, posture);
    return this.#arriving([[vcpu, taken]]);
  }

  /** A vCPU that does something else waits no more. */
  #forget(position: number): void {
    const posture = this.#postures[position]!;
    if (posture.waitsAt !== null) this.#postures = this.#postures.with(position, { ...posture, waitsAt: null });
  }

  #writeMsr(step: ProgramWriteMsr): StepOutcome {
    const rule = this.#msrs.write(step);
    const { vcpu } = step;
    if (rule.effect === 'guest-os-id') this.#plainCallers.length = 0;
    if (rule.effect === 'sint') {
      this.#setups = this.#setups.with(vcpu, { ...this.#setups[vcpu]!, autoEoi: this.#msrs.autoEoi(vcpu) });
    }
    const writes = rule.effect === 'page' ? this.#writePage() : noWrites;
    return { ...this.#after(rule.name), result: rule.taken ? 1n : 0n, writes };
  }

  /** KVM writes its instruction into the page that is enabled (kvm_hv_set_msr_pw). */
  #writePage(): StepOutcome['writes'] {
    const { page } = this.#msrs;
    if (page === null) return noWrites;
    const write = { gpa: page, bytes: pageCode(this.#contract, this.#isXen) };
    this.memory.writeAsKvm(write);
    return [write];
  }

  /** Restoring HYPERCALL writes the page anew. What has halted is in its guest again at once. */
  #migrate(): StepOutcome {
    if (this.#contract.restoresPprEarly) this.lapics = this.#restored.restore(this.lapics, this.#apics);
    for (const [position, { idle }] of this.#program.vcpus.entries()) if (idle === 'halted') this.#enter(position);
    const rule = this.#msrs.migrate() ? 'migrate-without-hypercall' : 'migrate';
    return { ...this.#after(rule), writes: this.#writePage() };
  }

  #enter(position: number): void {
    this.lapics = this.#restored.enter(position, this.lapics);
  }

  #changeApic({ vcpu, apic: change }: ProgramSetApic): void {
    const setup = this.#program.vcpus[vcpu]!;
    // Its LAPIC is set once more, and what is in service has been counted by now.
    this.#enter(vcpu);
    const apic = changedApic(this.#apics[vcpu]!, change);
    this.#apics = this.#apics.with(vcpu, apic);
    this.lapics = this.lapics.with(
      vcpu,
      withApic(this.lapics[vcpu]!, setup, { id: vcpuIdOf(setup, vcpu), isWide: this.#hasWideIds }, apic),
    );
  }

  /**
   * A hardware-disabled LAPIC does not get the message (kvm_apic_present). Others are software-disabled by it, so that nothing
   * is accepted that a halted vCPU would have to take.
   */
  #init({ vcpu }: ProgramInit): void {
    this.#initialized.add(vcpu);
    const apic = this.#apics[vcpu]!;
    if (!apic.isHardwareEnabled) return;
    this.#lives.init(vcpu);
    this.#apics = this.#apics.with(vcpu, { ...apic, isSoftwareEnabled: false });
    this.lapics = this.lapics.with(vcpu, initializedLapic(this.#program.vcpus[vcpu]!));
  }

  /** A step that is no call, after which everything is as the walk has it now. */
  #after(rule: string, arriving: Arriving = this.#nothingArrives): StepOutcome {
    return this.#outcome(rule, noEffects, null, nobody, arriving);
  }

  /** One place builds every outcome, field by field: they all have the same shape, and a spread would cost a copy. */
  #outcome(
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
      apics: this.#apics,
      postures: this.#postures,
    };
  }

  /** Accepts a vector at each receiver; halted ones take it before the step ends. */
  #deliver(receivers: readonly number[], vector: number): Arriving {
    if (receivers.length === 0) return this.#nothingArrives;
    const lapics = [...this.lapics];
    let before: LapicChanges | null = null;
    let after = untouchedLapic;
    for (const position of receivers) {
      // vCPUs that are alike stay alike: one copy serves them all.
      if (lapics[position] !== before) {
        before = lapics[position]!;
        after = this.#model.accept(before, vector);
      }
      lapics[position] = after;
    }
    this.lapics = lapics;
    // In a concurrent program nothing is known to have been taken before the fence.
    if (this.#isConcurrent || !this.#isHalting) return this.#nothingArrives;
    return this.#take(receivers.filter((position) => this.#program.vcpus[position]!.idle === 'halted'));
  }

  #take(takers: readonly number[]): Arriving {
    if (takers.length === 0) return this.#nothingArrives;
    return this.#arriving(takers.map((at) => [at, takeAll(this.lapics[at]!, this.#setups[at]!, this.#model)] as const));
  }

  /** Notes what vCPUs took. */
  #arriving(taken: readonly (readonly [position: number, taken: Taken])[]): Arriving {
    const lapics = [...this.lapics];
    const arrivals = [...this.#nothingArrives.arrivals];
    const priorities = [...this.#nothingArrives.priorities];
    for (const [position, each] of taken) {
      lapics[position] = each.lapic;
      if (each.vectors.length > 0) arrivals[position] = this.#model.handlersFor(each.vectors);
      priorities[position] = each.priorities;
    }
    this.lapics = lapics;
    return { arrivals, priorities };
  }
}
