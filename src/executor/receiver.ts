/**
 * One vCPU as a receiver: what it does in `run` and `act` steps, up to a point in guest code at which it waits until it
 * goes on. Everything here runs on one thread; only a vCPU that is to wake up from `hlt` has one of its own.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { HV_X64_MSR_EOI, HV_X64_MSR_TPR } from '../abi/hyperv.ts';
import { APIC_DEFAULT_PHYS_BASE, APIC_EOI, APIC_TASKPRI, x2apicMsr } from '../abi/lapic.ts';
import type { VcpuSetup } from '../case/case.ts';
import type { ProgramAct } from '../program/program.ts';
import * as map from '../guest/memory-map.ts';
import { area } from '../guest/memory-map.ts';
import { eoiMsr, type GuestCode, pprMsr } from '../guest/program.ts';
import type { GuestVcpu } from './guest-vcpu.ts';
import { ThreadedVcpu } from './threaded-vcpu.ts';
import type { VcpuArea } from './vcpu-area.ts';

/** How long a vCPU in `hlt` may take to wake up although it has something to take: milliseconds in which we get on. */
const lostAfterMs = 5_000;

/** Looks after which a vCPU that ran a handler and did not come back has taken its vector in front of `hlt`. */
const tookBeforeHltAfter = 300;

export class Receiver {
  readonly #guest: GuestVcpu;
  readonly #area: VcpuArea;
  readonly #code: GuestCode;
  #setup: VcpuSetup | null = null;
  #waitsAt: ProgramAct['at'] | null = null;

  constructor(guest: GuestVcpu, vcpuArea: VcpuArea, code: GuestCode) {
    this.#guest = guest;
    this.#area = vcpuArea;
    this.#code = code;
  }

  /** In no handler, waiting nowhere, and nothing logged. */
  setUp(setup: VcpuSetup): void {
    this.#setup = setup;
    this.forget();
    for (const offset of [area.logLength, area.depth, area.enter, area.assist]) this.#area.put(offset, 0);
    this.#area.put(area.stack, this.#area.base + area.interruptStackTop);
    this.#area.put(area.eoiMsr, eoiMsr(setup));
    this.#area.put(area.pprMsr, pprMsr(setup));
  }

  /** It waits no more: somebody else has it do something. */
  forget(): void {
    if (this.#waitsAt === 'open') this.#guest.leaveHome();
    this.#waitsAt = null;
  }

  /**
   * Does what a step asks for; whether that was to run. An exit that the guest program does not make is for the caller
   * to notice.
   */
  async act(step: ProgramAct): Promise<boolean> {
    if (step.act === 'take') return this.goOn();
    this.forget();
    switch (step.act) {
      case 'enter':
        this.#area.put(area.enter, 1);
        this.#guest.mayBeInService = true;
        this.#run(map.commands.window);
        // Nothing was taken, or it would be clear.
        this.#area.put(area.enter, 0);
        return true;
      case 'leave':
        this.#run(map.commands.leave);
        return true;
      case 'set-tpr':
      case 'eoi':
        this.#write(step);
        return true;
      case 'wait':
        return this.#wait(step.at);
    }
  }

  /** Goes on from where it waits, or opens its window. */
  async goOn(): Promise<true> {
    const waitedAt = this.#waitsAt;
    this.#waitsAt = null;
    switch (waitedAt) {
      case null:
        this.openWindow();
        break;
      case 'hlt':
        // Nobody would wake it up if there were nothing to take.
        if (this.#guest.hasDeliverable()) await this.#halt();
        else this.openWindow();
        break;
      case 'open':
        this.#guest.vcpu.run();
        break;
      case 'sti-shadow':
      case 'mov-ss-shadow': {
        const place = { rip: this.#code.closing, rsp: this.#area.get(area.stack) };
        this.#guest.standInShadow(waitedAt === 'sti-shadow' ? 'sti' : 'mov-ss', place);
        this.#guest.vcpu.run();
      }
    }
    return true;
  }

  openWindow(): void {
    this.#run(map.commands.window);
  }

  #run(command: number): void {
    this.#guest.goHome();
    this.#area.put(area.command, command);
    this.#guest.vcpu.run();
  }

  /** Only to one point the vCPU comes by itself; to the others it is brought when it goes on. */
  #wait(at: ProgramAct['at']): boolean {
    this.#waitsAt = at;
    if (at === 'open') this.#run(map.commands.open);
    return at === 'open';
  }

  #write({ act, by, tpr, open }: ProgramAct): void {
    const { apic, lacks } = this.#setup!;
    const isEoi = act === 'eoi';
    const offset = isEoi ? APIC_EOI : APIC_TASKPRI;
    // Without Hyper-V it is the APIC's register, as for the EOI of handlers.
    const viaMsr = by === 'hv-msr' && !lacks.includes('hyperv') ? (isEoi ? HV_X64_MSR_EOI : HV_X64_MSR_TPR) : null;
    const own = apic === 'x2apic' ? x2apicMsr(offset) : -1;
    this.#area.put(area.registerAt, by === 'cr8' ? 0 : (viaMsr ?? own));
    this.#area.put(area.registerPage, Number(APIC_DEFAULT_PHYS_BASE) + offset);
    this.#area.put(area.registerValue, isEoi ? 0 : by === 'cr8' ? tpr : tpr << 4);
    this.#area.put(area.opens, open ? 1 : 0);
    this.#run(map.commands.write);
  }

  /**
   * Lets it do `sti; hlt`; it comes back by itself, because it has something to take. Where the host's timer ticks between
   * the two instructions, an emulated CPU may enter the guest again without the shadow of `sti` (QEMU 7.2), so that the
   * vector is taken in front of `hlt` and nothing is left to wake up for: the log tells, and the vCPU is fetched.
   */
  async #halt(): Promise<void> {
    this.#guest.goHome();
    this.#area.put(area.command, map.commands.haltOnce);
    const logged = this.#area.get(area.logLength);
    const thread = new ThreadedVcpu(this.#guest.id, this.#guest, this.#guest.vcpu.runInterruptibly());
    // Counted in looks and not by a clock: on a computer that gives no CPU neither of the two gets on.
    for (let looks = 0; looks < lostAfterMs; looks++) {
      await sleep(1);
      if (thread.isDone) return;
      if (looks > tookBeforeHltAfter && this.#area.get(area.logLength) > logged && thread.isAsleep) {
        if (!(await thread.stop())) break;
        this.#guest.wakeUp();
        this.#run(map.commands.window);
        return;
      }
    }
    throw new LostWakeUp();
  }
}

/** A vCPU sleeps in `hlt` although its APIC holds a vector that it can take. */
export class LostWakeUp extends Error {
  override name = 'LostWakeUp';
}
