/** What the fields of a case must have in common. Generators ask the same questions, so each stands here once. */
import { HV_X64_MSR_HYPERCALL_ENABLE } from '../abi/hyperv.ts';
import { HVCALL_SEND_IPI, HVCALL_SEND_IPI_EX } from '../abi/hypercall.ts';
import { APIC_DEFAULT_PHYS_BASE } from '../abi/lapic.ts';
import { caseLimits, foreignCallCodes, isRealMode, runsMeanwhile, sintCount } from './limits.ts';
import { checkConcurrentMachine, checkConcurrentStep } from './checks-concurrent.ts';
import { arenaStart, ramEnd, upperEnd, upperStart } from './memory.ts';
import type { ActStep, CallStep, Case, Machine, Step } from './schema.ts';
import { vcpuIdOf, xapicIdMax } from './vcpu-id.ts';

/** A field that does not fit the rest of its case. */
export interface CaseIssue {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Everything that is wrong with a case whose fields are right one by one. */
export function* checkCase({ machine, steps }: Pick<Case, 'machine' | 'steps'>): Generator<CaseIssue> {
  yield* checkMachine(machine);
  const initialized = new Set<number>();
  const apics = machine.vcpus.map(({ apic }) => (apic === 'x2apic' || apic === 'xapic' ? 'enabled' : apic));
  const senders = new Set(steps.filter(isCall).map(({ sender }) => sender));
  for (const [index, step] of steps.entries()) {
    const at = issueAt(index);
    const vcpu = actorOf(step) ?? 0;
    if (vcpu >= machine.vcpus.length) {
      yield at(
        isCall(step) ? 'sender' : 'vcpu',
        `vCPU ${vcpu} is not in the machine, which has ${machine.vcpus.length}`,
      );
      continue;
    }
    yield* checkAgainstMachine(step, machine, at);
    if (machine.schedule !== null) yield* checkConcurrentStep(step, machine, senders, at);
    if (step.do === 'init') initialized.add(vcpu);
    if (step.do === 'set-apic') apics[vcpu] = step.apic;
    if (step.do === 'act') {
      yield* checkAct(step, machine, at);
      if (initialized.has(vcpu)) yield at('vcpu', `vCPU ${vcpu} got INIT and does not run any more`);
      if (apics[vcpu] === 'hardware-disabled') yield at('vcpu', `the APIC of vCPU ${vcpu} is hardware-disabled`);
      if (step.act === 'set-tpr' && step.by === 'cr8' && apics[vcpu] === 'software-disabled') {
        yield at(
          'by',
          `the APIC of vCPU ${vcpu} is software-disabled: whether KVM sees CR8 then depends on what was before`,
        );
      }
    }
    if (!isCall(step)) continue;
    if (!canRun(machine, vcpu)) yield at('sender', `vCPU ${vcpu} is ${machine.vcpus[vcpu]!.idle} and does not run`);
    if (initialized.has(vcpu)) yield at('sender', `vCPU ${vcpu} got INIT and does not run any more`);
    yield* checkCall(step, at);
  }
  if (machine.schedule !== null && steps.at(-1)?.do !== 'run') {
    yield { path: ['steps', steps.length - 1, 'do'], message: 'a concurrent case ends with a run step' };
  }
}

function issueAt(index: number): (name: string, message: string) => CaseIssue {
  return (name, message) => ({ path: ['steps', index, name], message });
}

/** Whether the fields of a case fit together. */
export function isWellFormed(value: Pick<Case, 'machine' | 'steps'>): boolean {
  return checkCase(value).next().done === true;
}

/** Whether a step is a hypercall. */
export function isCall(step: Step): step is CallStep {
  return step.do === 'send-ipi' || step.do === 'send-ipi-ex';
}

/** Whether a vCPU can be a sender. */
export function canRun({ vcpus }: Machine, position: number): boolean {
  const { idle } = vcpus[position]!;
  return idle === 'parked' || idle === 'halted';
}

/**
 * Input blocks may lie anywhere but in the guest program's own memory and at the APIC page, which some hosts back with
 * an internal memslot (docs/semantics.md 1.10, trap 6).
 */
export function isAllowedGpa(gpa: bigint): boolean {
  const blockBytesMax = 0x1000n;
  const isNear = (start: bigint, end: bigint): boolean => gpa + blockBytesMax > start && gpa < end;
  const isTaken = isNear(APIC_DEFAULT_PHYS_BASE, APIC_DEFAULT_PHYS_BASE + 0x1000n) || isNear(upperStart, upperEnd);
  return gpa >= arenaStart && !isTaken;
}

/** Whether a value of HV_X64_MSR_HYPERCALL keeps KVM from writing its page into the guest program. */
export function isAllowedHypercallMsr(value: bigint): boolean {
  return (value & HV_X64_MSR_HYPERCALL_ENABLE) === 0n || isAllowedGpa(value & ~0xfffn);
}

/** Whether a call can go through a page at that address: the guest program reaches only what lies in RAM. */
export function isAllowedPage(page: bigint): boolean {
  return page >= arenaStart && page < ramEnd && (page & 0xfffn) === 0n;
}

/**
 * Whether RAX of a 64-bit caller is no number of a hypercall of KVM's own or of Xen that does something; 11,
 * KVM_HC_SCHED_YIELD, does nothing.
 */
export function isAllowedRax(rax: bigint): boolean {
  return rax === 11n || (rax & 0xffff_ffffn) >= 64n;
}

/** Whether the control bits leave the call code one that KVM answers without doing anything else. */
export function isAllowedCallCode(kind: CallStep['do'], controlBits: readonly number[]): boolean {
  const base = kind === 'send-ipi' ? HVCALL_SEND_IPI : HVCALL_SEND_IPI_EX;
  const code = controlBits.reduce((bits, bit) => (bit < 16 ? bits | (1 << bit) : bits), base);
  const other = kind === 'send-ipi' ? HVCALL_SEND_IPI_EX : HVCALL_SEND_IPI;
  return code !== other && !foreignCallCodes.some((foreign) => foreign === code);
}

/** Whether a mode can call through the page: in 16-bit segments the return address would not fit. */
export function modeHasPage(mode: CallStep['mode']): boolean {
  return !isRealMode(mode) && mode !== 'protected16';
}

/** Position of the vCPU that a step is about; null for a step that is about all. */
export function actorOf(step: Step): number | null {
  if (step.do === 'run') return null;
  return isCall(step) ? step.sender : step.vcpu;
}

function* checkMachine(machine: Machine): Generator<CaseIssue> {
  const { irqchip, vcpus } = machine;
  yield* checkConcurrentMachine(machine);
  const ids = vcpus.map(vcpuIdOf);
  const owners = new Map(ids.map((id, position) => [id, position] as const).reverse());
  const threads = vcpus.filter(runsMeanwhile).length;
  if (threads > caseLimits.threads) {
    const message = `${threads} vCPUs halt or spin on threads of their own; at most ${caseLimits.threads} can`;
    yield { path: ['machine', 'vcpus'], message };
  }
  for (const [position, vcpu] of vcpus.entries()) {
    const at = (name: string, message: string): CaseIssue => ({ path: ['machine', 'vcpus', position, name], message });
    const id = ids[position]!;
    if (owners.get(id) !== position) yield at('vcpuId', `${id} is another vCPU's id already`);
    if (id > xapicIdMax && vcpu.apic !== 'x2apic' && irqchip !== 'none') {
      yield at('apic', `an APIC ID above ${xapicIdMax}, here ${id}, needs an x2APIC`);
    }
    for (const name of ['irr', 'isr', 'autoEoi'] as const) {
      if (vcpu[name].some((vector) => vector < 16)) yield at(name, 'vectors below 16 are exceptions');
    }
    yield* checkAutoEoi(vcpu, irqchip, at);
    if (vcpu.idle === 'halted' && !canHalt(vcpu, irqchip)) {
      yield at('idle', 'a halted vCPU needs a LAPIC in the kernel, no vcpuId, and nothing in tpr, irr and isr');
    }
    if (vcpu.idle === 'halted' && id === xapicBroadcast) yield at('idle', broadcastComplaint);
    if (irqchip === 'none' && (vcpu.tpr > 0 || vcpu.irr.length + vcpu.isr.length > 0 || vcpu.idle !== 'parked')) {
      yield at('apic', 'without a LAPIC in the kernel there is no tpr, irr, isr or idle state');
    }
  }
}

/** An MSI to this ID reaches every xAPIC. */
const xapicBroadcast = 255;
const broadcastComplaint = 'a message to APIC ID 255 is a broadcast to xAPICs';

function* checkAutoEoi(
  { autoEoi, lacks }: Machine['vcpus'][number],
  irqchip: Machine['irqchip'],
  at: (name: string, message: string) => CaseIssue,
): Generator<CaseIssue> {
  if (autoEoi.length > sintCount) yield at('autoEoi', `a vCPU has ${sintCount} SINTs, one for each vector`);
  if (autoEoi.length > 0 && (irqchip === 'none' || lacks.includes('hyperv'))) {
    yield at('autoEoi', 'SINTs need Hyper-V and a LAPIC in the kernel');
  }
}

function* checkAct(
  step: ActStep,
  { irqchip, vcpus }: Machine,
  at: (name: string, message: string) => CaseIssue,
): Generator<CaseIssue> {
  const { idle } = vcpus[step.vcpu]!;
  if (irqchip === 'none') yield at('do', 'act needs a LAPIC in the kernel');
  if (idle !== 'parked') yield at('vcpu', `vCPU ${step.vcpu} is ${idle} and does not act`);
  if (vcpus.some((vcpu) => vcpu.idle === 'halted')) yield at('do', 'act and halted vCPUs do not go together');
  if (step.act === 'eoi' && step.by === 'cr8') yield at('by', 'CR8 is the task priority; there is no EOI by it');
  if (step.act === 'set-tpr' && step.by === 'cr8' && !step.open) {
    yield at('open', 'must be true with CR8: QEMU 7.2 does not survive some writes of CR8 with interrupts off');
  }
}

/** The fence of a halted vCPU is an NMI to the APIC ID of its position, behind which everything has been taken. */
export function canHalt(
  { vcpuId, tpr, irr, isr, lacks }: Machine['vcpus'][number],
  irqchip: Machine['irqchip'],
): boolean {
  const isPlain = vcpuId === null && tpr === 0 && irr.length + isr.length === 0 && !lacks.includes('hyperv');
  return isPlain && irqchip === 'kernel';
}

function* checkAgainstMachine(
  step: Step,
  { irqchip, vcpus }: Machine,
  at: (name: string, message: string) => CaseIssue,
): Generator<CaseIssue> {
  const needsLapic = step.do === 'run' || step.do === 'set-apic' || step.do === 'init';
  if (needsLapic && irqchip === 'none') yield at('do', `${step.do} needs a LAPIC in the kernel`);
  if (step.do === 'set-apic' || step.do === 'init') {
    if (vcpus.some(({ idle }) => idle === 'halted')) yield at('do', `${step.do} and halted vCPUs do not go together`);
  }
  if (step.do === 'init' && vcpuIdOf(vcpus[step.vcpu]!, step.vcpu) === xapicBroadcast) {
    yield at('vcpu', broadcastComplaint);
  }
  if (step.do !== 'write-msr') return;
  if (step.msr === 'hypercall' && !isAllowedHypercallMsr(step.value)) {
    yield at('value', `the page would lie in the guest program's memory; use 0x${arenaStart.toString(16)} and up`);
  }
}

function* checkCall(step: CallStep, at: (name: string, message: string) => CaseIssue): Generator<CaseIssue> {
  if (!isAllowedCallCode(step.do, step.controlBits)) {
    yield at('controlBits', 'the bits make the call code one of another hypercall that KVM knows');
  }
  if (step.gpa !== null && !isAllowedGpa(step.gpa)) {
    const address = `0x${step.gpa.toString(16)}`;
    yield at(
      'gpa',
      `${address} belongs to the guest program or to the APIC page; use 0x${arenaStart.toString(16)} and up`,
    );
  }
  if (step.page !== null && !isAllowedPage(step.page)) {
    yield at('page', `not a page of the arena: 0x${arenaStart.toString(16)} to 0x${(ramEnd - 1n).toString(16)}`);
  }
  if (step.page !== null && !modeHasPage(step.mode)) yield at('page', `${step.mode} mode cannot return from a page`);
  if (step.page !== null && step.opcode === 'other') yield at('opcode', 'the page holds the native instruction');
  if (isRealMode(step.mode) && step.cpl !== 0) yield at('cpl', 'real mode has no privilege levels');
  if (!isAllowedRax(step.rax)) yield at('rax', 'the number of a hypercall of KVM or Xen that does something');
}
