/** One vCPU as a receiver: what `run` and `act` steps make it do, up to the point in guest code at which it waits. */
import { HV_X64_MSR_EOI, HV_X64_MSR_TPR } from '../abi/hyperv.ts';
import { APIC_DEFAULT_PHYS_BASE, APIC_EOI, APIC_TASKPRI, x2apicMsr } from '../abi/lapic.ts';
import type { VcpuSetup } from '../case/case.ts';
import * as map from '../guest/memory-map.ts';
import { area } from '../guest/memory-map.ts';
import { eoiMsr, type GuestCode, pprMsr } from '../guest/program.ts';
import { handLimits } from '../hand/operations.ts';
import type { Script } from '../hand/script.ts';
import type { ProgramOf } from '../program/program.ts';
import { expectExit, lostAfterMs, orLost } from './stop.ts';
import type { Vcpu } from './vcpu/vcpu.ts';
import type { Read } from './writer.ts';

/** Looks after which a vCPU that ran a handler and did not come back has taken its vector in front of `hlt`. */
const tookBeforeHltAfter = 300;

const nothing: Read<void> = () => undefined;

export class Receiver {
  readonly #vm: number;
  readonly #vcpu: Vcpu;
  readonly #base: number;
  readonly #code: GuestCode;
  #setup: VcpuSetup | null = null;
  /** MSRs for EOI and PPR that are in its area. */
  #msrs = '';
  #waitsAt: ProgramOf<'act'>['at'] | null = null;
  /** Whether its area may hold what a program left there, and whether a handler may have logged something. */
  #isUsed = false;
  #mayHaveLogged = false;

  constructor(vm: number, vcpu: Vcpu, code: GuestCode) {
    this.#vm = vm;
    this.#vcpu = vcpu;
    this.#base = map.vcpuArea(vcpu.position);
    this.#code = code;
  }

  /** In no handler, waiting nowhere, and nothing logged. */
  setUp(script: Script, setup: VcpuSetup): void {
    this.#setup = setup;
    this.forget();
    if (this.#isUsed) {
      for (const offset of [area.logLength, area.depth, area.enter, area.assist]) this.#put(script, offset, 0);
      this.#put(script, area.stack, this.#base + area.interruptStackTop);
    }
    this.#isUsed = setup.eoi === 'assist';
    this.#mayHaveLogged = false;
    const msrs = `${eoiMsr(setup)} ${pprMsr(setup)}`;
    if (msrs === this.#msrs) return;
    this.#put(script, area.eoiMsr, eoiMsr(setup));
    this.#put(script, area.pprMsr, pprMsr(setup));
    this.#msrs = msrs;
  }

  /** It waits no more: somebody else has it do something. */
  forget(): void {
    if (this.#waitsAt === 'open') this.#vcpu.leaveHome();
    this.#waitsAt = null;
  }

  /** Whether it waits with interrupts on. */
  get waitsOpen(): boolean {
    return this.#waitsAt === 'open';
  }

  /** Its handlers run, because it has interrupts on in a call. */
  noteHandlers(): void {
    this.#isUsed = true;
    this.#mayHaveLogged = true;
  }

  /** Whether its handlers may have logged something since this was last asked. */
  takeMayHaveLogged(): boolean {
    const may = this.#mayHaveLogged;
    this.#mayHaveLogged = false;
    return may;
  }

  /** Does what a step asks for. Reading throws UnexpectedExit where the guest makes an exit that its program does not make. */
  act(script: Script, step: ProgramOf<'act'>): Read<void> {
    if (step.act === 'take') return this.goOn(script);
    this.forget();
    switch (step.act) {
      case 'enter': {
        this.#put(script, area.enter, 1);
        this.#vcpu.lapic.mayBeInService = true;
        const read = this.#command(script, map.commands.window);
        // Nothing was taken, or it would be clear.
        this.#put(script, area.enter, 0);
        return read;
      }
      case 'leave':
        return this.#command(script, map.commands.leave);
      case 'set-tpr':
      case 'eoi':
        return this.#write(script, step);
      case 'wait':
        return this.#wait(script, step.at);
    }
  }

  /** Goes on from where it waits, or opens its window. */
  goOn(script: Script): Read<void> {
    const waitedAt = this.#waitsAt;
    this.#waitsAt = null;
    switch (waitedAt) {
      case null:
        return this.openWindow(script);
      case 'hlt':
        return this.#haltOnce(script);
      case 'open':
        return this.#run(script);
      case 'sti-shadow':
      case 'mov-ss-shadow':
        return this.#leaveShadow(script, waitedAt === 'sti-shadow' ? 'sti' : 'mov-ss');
    }
  }

  openWindow(script: Script): Read<void> {
    return this.#command(script, map.commands.window);
  }

  /** Puts a command and words of its area in place, for a vCPU that is then started on a thread. */
  prepare(script: Script, command: number, words: readonly (readonly [offset: number, value: number])[]): void {
    this.#isUsed = true;
    this.#mayHaveLogged = true;
    this.#vcpu.goHome(script);
    for (const [offset, value] of words) this.#put(script, offset, value);
    this.#put(script, area.command, command);
  }

  #command(script: Script, command: number): Read<void> {
    this.prepare(script, command, []);
    return this.#run(script);
  }

  #run(script: Script): Read<void> {
    this.#isUsed = true;
    this.#mayHaveLogged = true;
    const { object, thread, position } = this.#vcpu;
    const { idle } = map.ports;
    script.add('run', { vcpu: object, thread, port: idle, otherPort: idle, answer: 0, watch: 0, lenient: 0 });
    return (record) => expectExit(position, record.exit(), this.#code);
  }

  /** Only to one point the vCPU comes by itself; to the others it is brought when it goes on. */
  #wait(script: Script, at: ProgramOf<'act'>['at']): Read<void> {
    this.#waitsAt = at;
    return at === 'open' ? this.#command(script, map.commands.open) : nothing;
  }

  #leaveShadow(script: Script, shadow: 'sti' | 'mov-ss'): Read<void> {
    this.#isUsed = true;
    // The guest keeps the stack of a handler that is held open.
    this.#vcpu.standInShadow(script, shadow, this.#code.closing, this.#base + area.stack);
    return this.#run(script);
  }

  /** Has it read one of its MSRs, which it may. */
  readMsr(script: Script, msr: number): Read<bigint> {
    this.forget();
    this.#put(script, area.registerAt, msr);
    const read = this.#command(script, map.commands.readMsr);
    script.add('readWord', { vm: this.#vm, offset: this.#base + area.registerValue });
    return (record) => {
      read(record);
      return record.u64();
    };
  }

  #write(script: Script, { act, by, tpr, open }: ProgramOf<'act'>): Read<void> {
    const { apic, lacks } = this.#setup!;
    const isEoi = act === 'eoi';
    const offset = isEoi ? APIC_EOI : APIC_TASKPRI;
    // Without Hyper-V it is the APIC's register, as for the EOI of handlers.
    const viaMsr = by === 'hv-msr' && !lacks.includes('hyperv') ? (isEoi ? HV_X64_MSR_EOI : HV_X64_MSR_TPR) : null;
    const own = apic === 'x2apic' ? x2apicMsr(offset) : -1;
    this.#put(script, area.registerAt, by === 'cr8' ? 0 : (viaMsr ?? own));
    this.#put(script, area.registerPage, Number(APIC_DEFAULT_PHYS_BASE) + offset);
    this.#put(script, area.registerValue, isEoi ? 0 : by === 'cr8' ? tpr : tpr << 4);
    this.#put(script, area.opens, open ? 1 : 0);
    return this.#command(script, map.commands.write);
  }

  /**
   * Lets it do `sti; hlt`, if it has something to take: nobody would wake it up otherwise. Where the host's timer ticks
   * between the two instructions, an emulated CPU may enter the guest again without the shadow of `sti` (QEMU 7.2), so that
   * the vector is taken in front of `hlt` and nothing is left to wake up for: the log tells, and the vCPU is fetched.
   */
  #haltOnce(script: Script): Read<void> {
    const vcpu = this.#vcpu;
    this.#isUsed = true;
    this.#mayHaveLogged = true;
    vcpu.goHome(script);
    const complaint = `vCPU ${vcpu.position} does not wake up from hlt`;
    const thread = vcpu.thread === 0 ? haltingThread : vcpu.thread;
    let [readFetched, readWindow] = [nothing, nothing];
    script.add('noteDeliverable', { vcpu: vcpu.object });
    script.branch('ifNoted', { value: 0 }, () => {
      readWindow = this.#command(script, map.commands.window);
    });
    script.branch('ifNoted', { value: 1 }, () => {
      this.#put(script, area.command, map.commands.haltOnce);
      script.add('start', { thread, vcpu: vcpu.object });
      const wordAt = this.#base + area.logLength;
      const wait = { thread, vm: this.#vm, wordAt, patience: tookBeforeHltAfter, milliseconds: lostAfterMs };
      script.branch('waitForWakeUp', wait, () => {
        script.add('stop', { thread, milliseconds: lostAfterMs });
        vcpu.wakeUp(script);
        readFetched = this.#command(script, map.commands.window);
      });
      const { idle } = map.ports;
      script.add('exit', { vcpu: vcpu.object, port: idle, lenient: 0 });
    });
    return (record) => {
      if (record.u8() === 1) readWindow(record);
      if (record.u8() === 0) return;
      const isFetched = orLost(() => record.u8(), complaint) === 1;
      if (isFetched) {
        // Of `stop`.
        orLost(() => record.u8(), complaint);
        readFetched(record);
      }
      expectExit(vcpu.position, record.exit(), this.#code);
    };
  }

  #put(script: Script, offset: number, value: number): void {
    script.add('put', { vm: this.#vm, offset: this.#base + offset, value });
  }
}

/** Thread for a vCPU that has none and halts once. */
const haltingThread = handLimits.threads;
