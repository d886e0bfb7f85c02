/** Ways to make steps that change the machine simpler, or to have the machine be so from the start. */
import { maxOf } from '../abi/layout.ts';
import type { Case, Step } from '../case/case.ts';
import { apicChanges, caseLimits } from '../case/limits.ts';
import { arenaStart } from '../case/memory.ts';
import { type Pass, withSteps, withVcpus, xenHypervBit } from './edits.ts';
import { isCall, type StepOf } from '../case/steps/kinds.ts';

/** The machine is from the start what an MSR write makes of it; of a VP index KVM takes 32 bits (kvm_hv_set_msr). */
function* writtenFromTheStart(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  for (const [without, step] of withoutEach(value, 'write-msr')) {
    if (step.msr === 'guest-os-id') yield { ...without, machine: { ...value.machine, guestOsId: step.value } };
    const vpIndex = step.value & maxOf(32);
    if (step.msr === 'vp-index' && vpIndex <= BigInt(caseLimits.vpIndex)) {
      yield withVcpus(without, vcpus.with(step.vcpu, { ...vcpus[step.vcpu]!, vpIndex: Number(vpIndex) }));
    }
  }
}

/** An APIC is from the start what a step makes of it. */
function* setFromTheStart(value: Case): Generator<Case> {
  const { vcpus } = value.machine;
  for (const [without, step] of withoutEach(value, 'set-apic')) {
    const apic = step.apic === 'enabled' ? 'x2apic' : step.apic;
    yield withVcpus(without, vcpus.with(step.vcpu, { ...vcpus[step.vcpu]!, apic }));
  }
}

/** Each step of a kind with the case without it. */
function* withoutEach<Kind extends Step['do']>(value: Case, kind: Kind): Generator<[Case, StepOf<Kind>]> {
  if (value.steps.length === 1) return;
  for (const [index, step] of value.steps.entries()) {
    if (step.do === kind) yield [withSteps(value, value.steps.toSpliced(index, 1)), step as StepOf<Kind>];
  }
}

/** The plainer ones of the changes of an APIC. */
function* plainerApics(value: Case): Generator<Case> {
  for (const [index, step] of value.steps.entries()) {
    if (step.do !== 'set-apic') continue;
    for (const apic of apicChanges.slice(0, apicChanges.indexOf(step.apic))) {
      yield withSteps(value, value.steps.with(index, { ...step, apic }));
    }
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

/** Between the page's address and the enable bit, everything is reserved and ignored. */
function* bitsOfPages(value: Case): Generator<Case> {
  for (const [index, step] of value.steps.entries()) {
    if (step.do !== 'write-msr' || step.msr !== 'hypercall') continue;
    yield withSteps(value, value.steps.with(index, { ...step, value: pageOf(step.value) + (step.value & 1n) }));
  }
}

export const writeMsrPasses: readonly Pass[] = [writtenFromTheStart, plainPages, bitsOfPages];
export const setApicPasses: readonly Pass[] = [setFromTheStart, plainerApics];
