/** Checks across the fields of a machine. */
import type { CaseIssue } from './issue.ts';
import { caseLimits, runsMeanwhile, sintCount } from './limits.ts';
import { canHalt, defaultVmmAnswer, type Machine } from './machine.ts';
import { broadcastComplaint, vcpuIdOf, xapicBroadcast, xapicIdMax } from './vcpus/vcpu-id.ts';

export function* checkMachine(machine: Machine): Generator<CaseIssue> {
  const { irqchip, vcpus } = machine;
  yield* checkConcurrentMachine(machine);
  yield* checkNeighbour(machine);
  if (machine.xen !== false && machine.vmmAnswer !== defaultVmmAnswer) {
    const message = `must be 0x${defaultVmmAnswer.toString(16)} with Xen: what its callers see of it depends on the kernel`;
    yield { path: ['machine', 'vmmAnswer'], message };
  }
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

function* checkNeighbour({ xen, neighbour }: Machine): Generator<CaseIssue> {
  if (xen === 'flag' && (neighbour?.xen !== 'msr' || neighbour.life !== 'beside')) {
    const message = 'KVM heeds the flag alone only beside a VM with the MSR: "neighbour": { "xen": "msr" }';
    yield { path: ['machine', 'xen'], message };
  }
  if (neighbour?.busy === true && !neighbour.hyperv) {
    yield { path: ['machine', 'neighbour', 'busy'], message: 'its IPIs are hypercalls of Hyper-V' };
  }
  if (neighbour?.irqchip === 'none' && neighbour.apic !== 'x2apic') {
    const message = 'without a LAPIC in the kernel it has no state';
    yield { path: ['machine', 'neighbour', 'apic'], message };
  }
}

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

/** A concurrent case has few vCPUs, whose handlers acknowledge, and nothing that leaves the guest. */
function* checkConcurrentMachine({ irqchip, xen, schedule, vcpus }: Machine): Generator<CaseIssue> {
  if (schedule !== null && (irqchip !== 'kernel' || xen)) {
    yield { path: ['machine', 'schedule'], message: 'a concurrent case has irqchip kernel and no xen' };
  }
  if (schedule !== null && vcpus.length > caseLimits.threads) {
    yield { path: ['machine', 'vcpus'], message: `a concurrent case has at most ${caseLimits.threads} vCPUs` };
  }
  for (const [position, vcpu] of vcpus.entries()) {
    const { idle, vcpuId, apic, eoi, autoEoi, logsPpr } = vcpu;
    const at = (name: string, message: string): CaseIssue => ({ path: ['machine', 'vcpus', position, name], message });
    if (idle === 'spinning' && schedule === null) yield at('idle', 'only a concurrent case has spinning vCPUs');
    if (idle === 'spinning' && vcpuId !== null) yield at('vcpuId', 'a spinning vCPU has none of its own');
    const isAcknowledged = (eoi === 'hv-msr' || eoi === 'apic') && autoEoi.length === 0 && !logsPpr;
    if (schedule !== null && !isAcknowledged) {
      yield at('eoi', 'handlers of a concurrent case acknowledge by MSR or APIC, without auto-EOI and logsPpr');
    }
    if (schedule !== null && runsMeanwhile(vcpu) && apic === 'hardware-disabled') {
      yield at('apic', `a vCPU that is ${idle} in a concurrent case has an APIC`);
    }
  }
}
