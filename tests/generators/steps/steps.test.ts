import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MachineState } from '../../../generators/steps/machine-state.ts';
import { changePlan, settle } from '../../../generators/steps/steps.ts';
import { pageOf } from '../../../generators/steps/write-msr.ts';
import { type Feature, featureWeights } from '../../../generators/swarm.ts';
import { usualSwarm } from '../usual-swarm.ts';
import { type Case, makeCase, makeStep, type Step, type VcpuSetup } from '../../../src/case/case.ts';
import { itDrawsLawfully } from '../laws.ts';
import { type ChangeStep, stepKinds } from '../../../src/case/steps/kinds.ts';
import { isWellFormed } from '../../../src/case/checks.ts';
import { isAllowedPage } from '../../../src/case/steps/environment.ts';

const eight = Array.from({ length: 8 }, () => ({}));
const textOf = (plan: ChangeStep) =>
  JSON.stringify(plan, (_, value: unknown) => (typeof value === 'bigint' ? value.toString(16) : value));

/** Changes of one kind. */
function only(feature: Feature): ChangeStep[] {
  const names = Object.keys(featureWeights).filter((name) => name.startsWith('change.'));
  const off = Object.fromEntries(names.map((name) => [name, 0]));
  const swarm = { ...usualSwarm, weights: { ...featureWeights, ...off, [feature]: 1 } };
  return fc.sample(changePlan(swarm), { seed: 42, numRuns: 400 });
}

/** What has no SynIC takes no SINT, which `settle` looks after. */
function withSynic<Vcpu extends object>(vcpu: Vcpu): Vcpu & { autoEoi: number[] } {
  return { ...vcpu, autoEoi: [0x50] };
}

/** Values of an MSR that are drawn. */
function valuesOf(feature: Feature): bigint[] {
  return only(feature).map((plan) => (plan.do === 'write-msr' ? plan.value : -1n));
}

describe('changePlan', () => {
  itDrawsLawfully<ChangeStep>({
    arbitrary: changePlan(usualSwarm),
    expectValid: (plan) => expect(isWellFormed(makeCase(eight.map(withSynic), [plan]))).toBe(true),
    keyOf: textOf,
  });

  it('should keep to the kind that is on', () => {
    const kinds = (feature: Feature) =>
      [...new Set(only(feature).map((plan) => (plan.do === 'write-msr' ? plan.msr : plan.do)))].join();
    expect(kinds('change.guestOsId')).toBe('guest-os-id');
    expect(kinds('change.hypercall')).toBe('hypercall');
    expect(kinds('change.vpIndex')).toBe('vp-index');
    expect(kinds('change.apic')).toBe('set-apic');
    expect(kinds('change.init')).toBe('init');
    expect(kinds('change.sipi')).toBe('sipi');
    expect(kinds('change.migrate')).toBe('migrate');
    expect(kinds('change.vmm')).toBe('vmm');
    expect(kinds('change.readMsr')).toBe('read-msr');
    expect(kinds('change.sint').split(',').sort()).toEqual(['sint0', 'sint1', 'sint15', 'sint2']);
  });

  it('should change every vCPU', () => {
    expect(new Set(only('change.apic').map((plan) => ('vcpu' in plan ? plan.vcpu : null)))).toEqual(
      new Set([0, 1, 2, 3, 4, 5, 6, 7]),
    );
  });

  it.each<[string, Feature, (value: bigint) => boolean, number]>([
    ['GUEST_OS_ID 0', 'change.guestOsId', (value) => value === 0n, 80],
    ['the usual GUEST_OS_ID', 'change.guestOsId', (value) => value === 0x8100_0000_0000_0000n, 80],
    ['a GUEST_OS_ID with an empty lower half', 'change.guestOsId', (value) => value === 1n << 32n, 5],
    ['an enabled page', 'change.hypercall', (value) => (value & 1n) === 1n && value < 0x100000n, 200],
    ['the last page of RAM', 'change.hypercall', (value) => value >> 12n === 0xffn && (value & 1n) === 1n, 30],
    ['a locked page', 'change.hypercall', (value) => (value & 3n) === 3n, 30],
    ['a page that is not enabled', 'change.hypercall', (value) => (value & 1n) === 0n, 30],
    ['a page in a hole', 'change.hypercall', (value) => value === 0x100001n, 3],
    ['a page in the read-only slot', 'change.hypercall', (value) => value === 0x200001n, 3],
    ['a page above the address width', 'change.hypercall', (value) => value === (1n << 52n) + 1n, 3],
    ['a legal VP index', 'change.vpIndex', (value) => value < 4096n, 200],
    ['a VP index that every kernel refuses', 'change.vpIndex', (value) => value >= 4096n && value < 1n << 32n, 10],
    ['a VP index of more than 32 bits', 'change.vpIndex', (value) => value >= 1n << 32n, 10],
  ])('should draw %s', (_, feature, is, least) => {
    expect(valuesOf(feature).filter(is).length).toBeGreaterThanOrEqual(least);
  });
});

it('should draw every kind of step', () => {
  const drawn = fc.sample(changePlan(usualSwarm), { seed: 42, numRuns: 1000 }).map((step) => step.do);
  const elsewhere: Step['do'][] = ['send-ipi', 'send-ipi-ex', 'run', 'act'];
  expect(new Set([...drawn, ...elsewhere])).toEqual(new Set(Object.keys(stepKinds)));
});

describe('settle', () => {
  const settled = (
    steps: readonly ChangeStep[],
    vcpus: readonly Partial<VcpuSetup>[] = [{}, {}],
    machine: Partial<Case['machine']> = {},
  ) => {
    const state = new MachineState(makeCase(vcpus, [], machine).machine);
    return steps.map((step) => settle(step, state));
  };
  const [init, sipi] = [makeStep({ do: 'init' }), makeStep({ do: 'sipi', page: 1 })];
  const off = makeStep({ do: 'set-apic', apic: 'hardware-disabled' });
  const act = makeStep({ do: 'act', act: 'take' });

  it('should leave out what the machine cannot do', () => {
    expect(settled([off, init, sipi, act], [{}, {}], { irqchip: 'none' })).toEqual([null, null, null, null]);
    expect(settled([off, sipi, act], [{}, { idle: 'halted' }])).toEqual([null, null, null]);
  });

  it('should have somebody who runs do what another one cannot do any more', () => {
    expect(settled([off, act])).toEqual([off, { ...act, vcpu: 1 }]);
    expect(settled([init, act])).toEqual([init, { ...act, vcpu: 1 }]);
  });

  it('should leave somebody to send', () => {
    expect(settled([init, { ...init, vcpu: 1 }])).toEqual([init, null]);
  });

  it('should send most start-up IPIs to one that waits for it', () => {
    expect(settled([{ ...init, vcpu: 1 }, sipi, { ...sipi, page: 0 }]).slice(1)).toEqual([
      { ...sipi, vcpu: 1 },
      { ...sipi, page: 0 },
    ]);
  });

  it('should have the host read what would raise an exception in the guest', () => {
    const read = makeStep({ do: 'read-msr', msr: 'sint0', by: 'guest' });
    expect(settled([read])).toEqual([{ ...read, by: 'host' }]);
    expect(settled([read], [{ autoEoi: [0x50] }])).toEqual([read]);
    expect(settled([init, { ...read, msr: 'vp-index' }])[1]).toEqual({ ...read, msr: 'vp-index', by: 'host' });
  });
});

describe('pageOf', () => {
  it.each<[string, ChangeStep, bigint | null]>([
    ['an enabled page', makeStep({ do: 'write-msr', msr: 'hypercall', value: 0xf0001n }), 0xf0000n],
    ['one with all low bits set', makeStep({ do: 'write-msr', msr: 'hypercall', value: 0xf0fffn }), 0xf0000n],
    ['no page without the enable bit', makeStep({ do: 'write-msr', msr: 'hypercall', value: 0xf0002n }), null],
    ['no page outside of RAM', makeStep({ do: 'write-msr', msr: 'hypercall', value: 0x100001n }), null],
    ['no page of another MSR', makeStep({ do: 'write-msr', msr: 'guest-os-id', value: 0xf0001n }), null],
    ['no page of another change', makeStep({ do: 'init' }), null],
  ])('should be %s', (_, plan, page) => {
    expect(pageOf(plan)).toBe(page);
  });

  it('should be a page that calls may go through, for everything that is drawn', () => {
    const pages = only('change.hypercall').flatMap((plan) => pageOf(plan) ?? []);
    expect(pages.length).toBeGreaterThan(200);
    for (const page of pages) expect(isAllowedPage(page)).toBe(true);
  });
});
