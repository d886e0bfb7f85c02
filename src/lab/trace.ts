/** KVM's own trace events around a program, from the tracefs of the kernel in the lab. */
import { kindOfChange } from '../case/steps/kinds.ts';
import type { Observation } from '../program/observation.ts';
import type { Program } from '../program/program.ts';
import { InfrastructureError } from '../errors.ts';
import type { Lab } from './lab.ts';

export interface TraceEvent {
  /** `kvm_hv_send_ipi` and the like. */
  readonly name: string;
  /** As the kernel prints it. */
  readonly text: string;
}

export interface Traced {
  readonly observation: Observation;
  readonly events: readonly TraceEvent[];
}

const folder = '/sys/kernel/tracing';
/** What tells how a call went; a kernel that lacks one of them goes without. */
const wanted = [
  'kvm_entry',
  'kvm_exit',
  'kvm_hypercall',
  'kvm_hv_hypercall',
  'kvm_hv_send_ipi',
  'kvm_hv_send_ipi_ex',
  'kvm_hv_hypercall_done',
  'kvm_apic_accept_irq',
  'kvm_inj_virq',
  'kvm_inj_exception',
  'kvm_eoi',
];

const start = `
mount -t tracefs nodev ${folder} 2>/dev/null
cd ${folder} && [ -d events/kvm ] || { echo "no tracefs with KVM's events"; exit 1; }
echo 0 > tracing_on; echo 8192 > buffer_size_kb; echo > trace
for event in ${wanted.join(' ')}; do [ ! -e events/kvm/$event ] || echo 1 > events/kvm/$event/enable; done
echo 1 > tracing_on`;
const stop = `cd ${folder} && echo 0 > tracing_on && cat trace && echo 0 > events/kvm/enable`;

/**
 * Runs one program alone, in a fresh VM, with the events on.
 *
 * @throws SkippedError, KernelFailure and InfrastructureError as `Lab.run` does; also when the kernel has no tracefs.
 */
export async function traceProgram(lab: Lab, program: Program): Promise<Traced> {
  const begun = await lab.exec(['sh', '-c', start]);
  if (begun.exitCode !== 0) throw new InfrastructureError(`replay --trace: ${begun.output.toString().trim()}`);
  const [observation] = await lab.run([program], { exact: true });
  if (observation === undefined) throw new InfrastructureError('the lab gave no observation');
  return { observation, events: parseTrace(await lab.shellOutput(stop)) };
}

/** The events of a `trace` file, in order. */
export function parseTrace(text: string): TraceEvent[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*\S.*?-\d+\s+\[\d+\].*?: (kvm_\w+): (.*)$/.exec(line);
    return match === null ? [] : [{ name: match[1]!, text: match[2]!.trim() }];
  });
}

/**
 * The events of each step: a call is one KVM_RUN of its sender, a `run` step one of each parked vCPU, and each of these
 * ends with the exit by which the guest program waits for the next command. What the host does to the machine shows
 * before the next entry. Null where vCPUs halt on threads of their own: their events mix.
 */
export function eventsByStep(program: Program, { observation, events }: Traced): TraceEvent[][] | null {
  if (program.vcpus.some(({ idle }) => idle === 'halted')) return null;
  const runs = splitAtIoExit(events);
  const initialized = new Set<number>();
  return program.steps.map((step, index) => {
    // A call through a page without code is not made.
    if (step.kind === 'call') return observation.steps[index]?.exit === 'no-code' ? [] : (runs.shift() ?? []);
    const { enters, stops, takesInterrupts } = kindOfChange(step);
    if (!('vcpu' in step)) {
      if (!takesInterrupts) return takeUntilEntry(runs[0]);
      const runners = program.vcpus.filter(({ idle }, vcpu) => idle === 'parked' && !initialized.has(vcpu));
      return runs.splice(0, runners.length).flat();
    }
    if (stops) initialized.add(step.vcpu);
    if (enters(step)) return runs.shift() ?? [];
    return takesInterrupts ? [] : takeUntilEntry(runs[0]);
  });
}

function takeUntilEntry(run: TraceEvent[] = []): TraceEvent[] {
  const entry = run.findIndex(({ name }) => name === 'kvm_entry');
  return run.splice(0, entry === -1 ? run.length : entry);
}

/** Exits that the hardware and the host make: pages that are touched first, timer ticks. */
const asideReasons = /\breason (?:npf|interrupt|EPT_VIOLATION|EPT_MISCONFIG|EXTERNAL_INTERRUPT)\b/;

/** The events without the exits that no guest instruction asks for, each with the entry behind it; and how many. */
export function withoutAsides(events: readonly TraceEvent[]): { events: TraceEvent[]; asides: number } {
  const kept: TraceEvent[] = [];
  let asides = 0;
  let isBehindAside = false;
  for (const event of events) {
    const isAside = event.name === 'kvm_exit' && asideReasons.test(event.text);
    if (isAside) asides++;
    else if (!(isBehindAside && event.name === 'kvm_entry')) kept.push(event);
    isBehindAside = isAside;
  }
  return { events: kept, asides };
}

function splitAtIoExit(events: readonly TraceEvent[]): TraceEvent[][] {
  const runs: TraceEvent[][] = [[]];
  for (const event of events) {
    runs.at(-1)!.push(event);
    if (event.name === 'kvm_exit' && /\breason (?:io|IO_INSTRUCTION)\b/.test(event.text)) runs.push([]);
  }
  return runs;
}
