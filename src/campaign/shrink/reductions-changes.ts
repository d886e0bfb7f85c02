/** Ways to make steps that change the machine simpler, or to have the machine be so from the start. */
import { vpsPerBank } from '../../abi/hypercall.ts';
import { maxOf } from '../../abi/layout.ts';
import { type Case, makeStep, type Step } from '../../case/case.ts';
import { caseLimits } from '../../case/limits.ts';
import { arenaStart } from '../../case/memory.ts';
import { between, type Pass, withSteps, withVcpus, xenHypervBit } from './edits.ts';
import { canRun } from '../../case/machine.ts';
import { isCall } from '../../case/steps/kinds.ts';

/** The machine is from the start what a step makes of it; of a VP index KVM takes 32 bits (kvm_hv_set_msr). */
function* changedFromTheStart(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  for (const [index, step] of value.steps.entries()) {
    const without = withSteps(value, value.steps.toSpliced(index, 1));
    if (without.steps.length === 0) continue;
    if (step.do === 'set-apic') {
      const apic = step.apic === 'enabled' ? 'x2apic' : step.apic;
      yield withVcpus(without, vcpus.with(step.vcpu, { ...vcpus[step.vcpu]!, apic }));
    }
    if (step.do !== 'write-msr') continue;
    if (step.msr === 'guest-os-id') yield { ...without, machine: { ...value.machine, guestOsId: step.value } };
    const vpIndex = step.value & maxOf(32);
    if (step.msr === 'vp-index' && vpIndex <= BigInt(caseLimits.vpIndex)) {
      yield withVcpus(without, vcpus.with(step.vcpu, { ...vcpus[step.vcpu]!, vpIndex: Number(vpIndex) }));
    }
  }
}

/** Smaller values of MSR writes, the first vCPU, and the other changes of an APIC. */
function* plainerChanges(value: Case): Generator<Case> {
  for (const [index, step] of value.steps.entries()) {
    const change = (other: Step): Case => withSteps(value, value.steps.with(index, other));
    if (step.do === 'write-msr') {
      yield change({ ...step, vcpu: 0 });
      // Between the page's address and the enable bit, everything is reserved and ignored.
      if (step.msr === 'hypercall') yield change({ ...step, value: pageOf(step.value) + (step.value & 1n) });
      for (const smaller of between(step.value, 0n)) yield change({ ...step, value: smaller });
    } else if (step.do === 'set-apic') {
      for (const apic of ['enabled', 'software-disabled'] as const) yield change(makeStep({ ...step, apic }));
    }
  }
}

/** What is pending from the start is sent instead. */
function* sentPresets(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  const sender = vcpus.findIndex((_, position) => canRun(value.machine, position));
  if (sender === -1) return;
  for (const [position, vcpu] of vcpus.entries()) {
    const { irr, vpIndex } = vcpu;
    if (irr.length === 0 || value.steps.length + irr.length > caseLimits.steps || vpIndex >= caseLimits.vpNumber)
      continue;
    const kind = vpIndex < vpsPerBank ? 'send-ipi' : 'send-ipi-ex';
    const sent = irr.map((vector): Step => ({ ...makeStep({ do: kind }), sender, vector, targets: [vpIndex] }));
    yield withSteps(withVcpus(value, vcpus.with(position, { ...vcpu, irr: [] })), [...sent, ...value.steps]);
  }
}

/** A hypercall page lies where the arena begins, for all steps that speak of it, or there is none. */
function* plainPages(value: Case): Generator<Case> {
  const pages = new Set(value.steps.flatMap((step) => (isCall(step) && step.page !== null ? [step.page] : [])));
  for (const page of pages) {
    const moved = value.steps.map((step): Step => {
      if (isCall(step)) return step.page === page ? { ...step, page: arenaStart } : step;
      const isItsPage = step.do === 'write-msr' && step.msr === 'hypercall' && pageOf(step.value) === page;
      return isItsPage ? { ...step, value: step.value - page + arenaStart } : step;
    });
    yield withSteps(value, moved);
    yield withoutPage(value, page);
  }
}

/** Where Xen is intercepted, the page sets a bit of EAX and calls (kvm_hv_set_msr_pw): a bare call says as much. */
function withoutPage(value: Case, page: bigint): Case {
  const others = value.steps.filter(
    (step) => step.do !== 'write-msr' || step.msr !== 'hypercall' || pageOf(step.value) !== page,
  );
  const bare = others.map((step): Step =>
    isCall(step) && step.page === page ? { ...step, page: null, rax: xenHypervBit } : step,
  );
  return withSteps(value, bare);
}

function pageOf(value: bigint): bigint {
  return value - (value % 0x1000n);
}

export const changePasses: readonly Pass[] = [changedFromTheStart, sentPresets, plainPages, plainerChanges];
