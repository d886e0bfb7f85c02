/** Steps that are no calls, as operations: one entry for each kind. */
import { APIC_DM_INIT, APIC_DM_STARTUP } from '../abi/lapic.ts';
import type { Script } from '../hand/script.ts';
import type { Program, ProgramChange, ProgramOf } from '../program/program.ts';
import { msrIndexOf } from './vcpu/msr-index.ts';
import type { Vm } from './vm/vm.ts';
import type { Read } from './writer.ts';

/** Where a step is made. */
export interface Surroundings {
  readonly script: Script;
  readonly vm: Vm;
  readonly program: Program;
  /** Whether the VM is its program's alone. */
  readonly isExact: boolean;
  /** vCPUs that got INIT: they run no more. */
  readonly initialized: ReadonlySet<number>;
  /** In a race, the vCPUs that run meanwhile. */
  readonly racing: readonly number[] | null;
}

/** Adds a step; its result, where it has one. */
type Add<Step> = (step: Step, surroundings: Surroundings) => Read<bigint | null>;

/** Signals that a vCPU gets where a step disturbs it: a race takes a few of these times. */
const disturbance = { times: 3, microseconds: 100 };

const adders: { readonly [Kind in ProgramChange['kind']]: Add<ProgramOf<Kind>> } = {
  // The parked vCPUs go on, one after the other.
  run: (_step, { script, vm, program, initialized }) => {
    const reads = program.vcpus.flatMap(({ idle }, position) =>
      idle === 'parked' && !initialized.has(position) ? [vm.receiverAt(position).goOn(script)] : [],
    );
    return (record) => {
      for (const read of reads) read(record);
      return null;
    };
  },
  act: (step, { script, vm }) => withoutResult(vm.receiverAt(step.vcpu).act(script, step)),
  'write-msr': (step, { script, vm }) => {
    const read = vm.writeMsr(script, step);
    return (record) => (read(record) ? 1n : 0n);
  },
  'read-msr': ({ vcpu, msr, by }, { script, vm }) =>
    (by === 'host' ? vm.vcpuAt(vcpu) : vm.receiverAt(vcpu)).readMsr(script, msrIndexOf(msr)),
  'set-apic': ({ vcpu, apic }, { script, vm, program }) => {
    vm.vcpuAt(vcpu).lapic.change(script, apic, program.vcpus[vcpu]!);
    return () => null;
  },
  init: ({ vcpu }, { script, vm }) => {
    vm.signal(script, vcpu, APIC_DM_INIT);
    return withoutResult(vm.vcpuAt(vcpu).takeInit(script));
  },
  sipi: ({ vcpu, page }, { script, vm }) => {
    vm.signal(script, vcpu, APIC_DM_STARTUP | page);
    return vm.vcpuAt(vcpu).takeSipi(script);
  },
  migrate: (_step, { script, vm, program, isExact }) => withoutResult(vm.migrate(script, program, isExact)),
  vmm: ({ does }, surroundings) => {
    const { script, vm, program, racing } = surroundings;
    if (does === 'complete') {
      for (const position of program.vcpus.keys()) script.add('completeExit', { vcpu: vm.vcpuAt(position).object });
    } else if (does !== 'interrupt') {
      vm.memslots.change(script, does);
    } else if (racing === null) {
      interruptRuns(surroundings);
    } else {
      for (const position of racing) script.add('disturb', { thread: vm.vcpuAt(position).thread, ...disturbance });
    }
    return () => null;
  },
};

export function addChange(step: ProgramChange, surroundings: Surroundings): Read<bigint | null> {
  return (adders[step.kind] as Add<ProgramChange>)(step, surroundings);
}

/** Whether a vCPU that halts comes out of its guest for a step. */
export function bringsOut(step: ProgramChange, position: number): boolean {
  // One that has said that it halts may have yet to come to `hlt`: without memory it would find no instruction there.
  if (step.kind === 'vmm' && step.does === 'log-dirty') return false;
  return !('vcpu' in step) || step.vcpu === position;
}

/** One that waits with interrupts on is left alone: KVM would take a vector for it on its way (kvm_check_and_inject_events). */
function interruptRuns({ script, vm, program, initialized }: Surroundings): void {
  for (const [position, { idle }] of program.vcpus.entries()) {
    const runs = (idle === 'parked' || idle === 'halted') && !initialized.has(position);
    if (!runs || vm.receiverAt(position).waitsOpen) continue;
    const vcpu = vm.vcpuAt(position);
    // It may stand where a program before this one left it, with interrupts on.
    vcpu.goHome(script);
    script.add('interruptedRun', { vcpu: vcpu.object });
  }
}

function withoutResult(read: Read<unknown>): Read<null> {
  return (record) => {
    read(record);
    return null;
  };
}
