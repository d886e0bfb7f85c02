/**
 * The fence of a race. It wakes nobody. It waits until all senders are done, so that every wake-up and every kick has been sent;
 * then a receiver that sleeps in KVM_RUN was not woken, and one that spins has rounds enough to be kicked out of the guest.
 * What is still pending is written down before anybody does something about it. Behind the fence whoever has something
 * left takes it, so that handlers can be counted.
 */
import { runsMeanwhile } from '../../case/limits.ts';
import { area, vcpuArea } from '../../guest/memory-map.ts';
import type { RecordReader } from '../../hand/record.ts';
import { encodeConditions, type Script } from '../../hand/script.ts';
import type { Arrivals, Leftover } from '../../program/observation.ts';
import type { Program } from '../../program/program.ts';
import type { Vm } from '../vm/vm.ts';
import type { Read } from '../writer.ts';

/** The longest race takes well below a second; the lab's own watchdogs come later. */
const stuckAfterMs = 10_000;

type States = Leftover['states'];

export class Fence {
  readonly #script: Script;
  readonly #vm: Vm;
  readonly #program: Program;

  constructor(script: Script, vm: Vm, program: Program) {
    this.#script = script;
    this.#vm = vm;
    this.#program = program;
  }

  /** Waits for vCPUs to make their last exit; those that do not. */
  waitForEnd(runners: readonly number[]): Read<number[]> {
    const conditions = runners.map((position) => ({ position, wordAt: null }));
    return this.#wait(conditions, true);
  }

  /** Waits until all of some halted vCPUs sleep in their `hlt`; those that do not. */
  waitForSleep(sleepers: readonly number[], isRequired: boolean): Read<number[]> {
    const conditions = sleepers.map((position) => ({ position, wordAt: vcpuArea(position) + area.halting }));
    return this.#wait(conditions, isRequired);
  }

  #wait(conditions: readonly { position: number; wordAt: number | null }[], isRequired: boolean): Read<number[]> {
    const encoded = encodeConditions(
      conditions.map(({ position, wordAt }) => ({
        thread: this.#vm.vcpuAt(position).thread,
        asleepAt: wordAt === null ? null : { vm: this.#vm.number, offset: wordAt },
      })),
    );
    this.#script.add('wait', { milliseconds: stuckAfterMs, required: Number(isRequired), conditions: encoded });
    return (record) => {
      if (record.u8() === 1) return [];
      return conditions.filter(() => record.u8() === 0).map(({ position }) => position);
    };
  }

  /** Where somebody did not come to the fence, the states of all vCPUs are what is known; the VM ends with that. */
  stuck(): Read<States | null> {
    let readStates: Read<States> = () => [];
    this.#script.branch('ifMissed', {}, () => {
      readStates = this.#states();
      this.#script.add('giveUp', {});
    });
    return (record) => (record.u8() === 1 ? readStates(record) : null);
  }

  /** What of these vCPUs is pending although its receiver could take it: nobody woke or kicked it. */
  leftovers(positions: readonly number[]): Read<Leftover[]> {
    const reads = positions.flatMap((vcpu) => {
      const { idle } = this.#program.vcpus[vcpu]!;
      if (idle === 'parked') return [];
      let readStates: Read<States> = () => [];
      if (this.#program.machine.irqchip === 'none') return [];
      this.#script.branch('ifPending', { vcpu: this.#vm.vcpuAt(vcpu).object }, () => {
        readStates = this.#states();
      });
      const wait = idle === 'halted' ? ('asleep' as const) : ('spinning' as const);
      return [
        (record: RecordReader): Leftover[] => (record.u8() === 1 ? [{ vcpu, wait, states: readStates(record) }] : []),
      ];
    });
    return (record) => reads.flatMap((read) => read(record));
  }

  #states(): Read<States> {
    const reads = this.#program.vcpus.map((_, position) => this.#vm.vcpuAt(position).state(this.#script));
    return (record) => reads.map((read) => read(record));
  }

  /** Whoever has something left takes it, and logs are read. */
  takeRest(): Read<Arrivals> {
    const script = this.#script;
    const reads = this.#program.vcpus.flatMap((vcpu, position) => {
      if (vcpu.idle === 'halted') this.#vm.vcpuAt(position).wakeUp(script);
      const takes = vcpu.idle === 'parked' || runsMeanwhile(vcpu);
      if (!takes || this.#program.machine.irqchip === 'none') return [];
      const one = this.#vm.vcpuAt(position);
      let readWindow: Read<void> = () => undefined;
      // Its registers are given inside of the condition: where the vCPU does not run, KVM would take them, CR8 among them, in
      // its next run. Outside of it nobody knows which registers it has.
      one.leaveHome();
      script.branch('ifPending', { vcpu: one.object }, () => {
        readWindow = this.#vm.receiverAt(position).openWindow(script);
      });
      one.leaveHome();
      return [(record: RecordReader): void => void (record.u8() === 1 && readWindow(record))];
    });
    const logs = this.#program.vcpus.map((setup, position) => this.#vm.takeLog(script, position, setup));
    return (record) => {
      for (const read of reads) read(record);
      return logs.map((read) => read(record).vectors);
    };
  }
}
