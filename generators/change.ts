/** Steps that change the machine: MSRs, APICs, INIT. */
import fc from 'fast-check';
import { HV_X64_MSR_HYPERCALL_ENABLE } from '../src/abi/hyperv.ts';
import type { Step } from '../src/case/case.ts';
import { apicChanges, caseLimits } from '../src/case/limits.ts';
import { arenaStart, ramEnd, romStart } from '../src/case/memory.ts';
import { defaultGuestOsId } from '../src/case/schema.ts';
import { anyWord, refusedVpIndex, vpNumber, vpNumberEdge } from './integers.ts';
import { oneofFeatures, type Swarm } from './swarm.ts';

/** A step that is no call; its vCPU is modulo machine size. */
export type ChangePlan = Extract<Step, { do: 'write-msr' | 'set-apic' | 'init' }>;

const pageBytes = 0x1000n;
/** Pages of the arena behind the input blocks that calls have by default, and the last page of RAM. */
const pages = Array.from({ length: 4 }, (_, index) => arenaStart + (16n + BigInt(index)) * pageBytes);
const enabled = [...pages, ramEnd - pageBytes].map((page) => page | HV_X64_MSR_HYPERCALL_ENABLE);

/** Values of HV_X64_MSR_HYPERCALL: pages, the locked bit and other low bits, places where no page can be written. */
const hypercallValue = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...enabled) },
  { weight: 2, arbitrary: fc.constantFrom(...enabled.map((value) => value | 2n), enabled[0]! | 0xffcn) },
  { weight: 2, arbitrary: fc.constantFrom(0n, pages[0]!, pages[0]! | 2n, 0xffen) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(ramEnd | 1n, romStart | 1n, (1n << 40n) | 1n, (1n << 52n) | 1n, (1n << 63n) | 1n),
  },
);

const vpIndexValue = fc.oneof(
  { weight: 6, arbitrary: fc.oneof(vpNumberEdge, vpNumber).map(BigInt, Number) },
  { weight: 1, arbitrary: refusedVpIndex.map(BigInt, Number) },
  // KVM looks at 32 bits.
  { weight: 1, arbitrary: fc.constantFrom((1n << 32n) | 3n, (1n << 63n) | 64n) },
);

const guestOsIdValue = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(0n, defaultGuestOsId) },
  { weight: 1, arbitrary: fc.oneof(fc.constantFrom(1n, 1n << 32n), anyWord) },
);

/** A vCPU gets another VP index; its vCPU is modulo those that can. */
export type MoveVpPlan = Extract<Step, { do: 'write-msr' }>;

/** Draws changes of VP indexes. */
export const moveVpPlan: fc.Arbitrary<MoveVpPlan> = record({
  do: fc.constant('write-msr' as const),
  vcpu: fc.nat(caseLimits.vcpus - 1),
  msr: fc.constant('vp-index' as const),
  value: vpIndexValue,
  note: fc.constant(''),
});

/** Draws changes. */
export function changePlan(swarm: Swarm): fc.Arbitrary<ChangePlan> {
  const vcpu = fc.nat(caseLimits.vcpus - 1);
  const note = fc.constant('');
  const msr = (name: Extract<Step, { do: 'write-msr' }>['msr'], value: fc.Arbitrary<bigint>) =>
    record({ do: fc.constant('write-msr' as const), vcpu, msr: fc.constant(name), value, note });
  return oneofFeatures<ChangePlan>(swarm, {
    'change.guestOsId': msr('guest-os-id', guestOsIdValue),
    'change.hypercall': msr('hypercall', hypercallValue),
    'change.vpIndex': msr('vp-index', vpIndexValue),
    'change.apic': record({ do: fc.constant('set-apic' as const), vcpu, apic: fc.constantFrom(...apicChanges), note }),
    'change.init': record({ do: fc.constant('init' as const), vcpu, note }),
  });
}

/** Enables a page, for a call that wants to go through one. */
export const enablePage: ChangePlan = {
  do: 'write-msr',
  vcpu: 0,
  msr: 'hypercall',
  value: pages[0]! | HV_X64_MSR_HYPERCALL_ENABLE,
  note: '',
};

/** The page that a change enables in guest memory; null when it enables none. */
export function pageOf(step: ChangePlan): bigint | null {
  if (step.do !== 'write-msr' || step.msr !== 'hypercall') return null;
  if ((step.value & HV_X64_MSR_HYPERCALL_ENABLE) === 0n || step.value >= ramEnd) return null;
  return step.value & ~(pageBytes - 1n);
}

function record<T>(fields: { [Name in keyof T]: fc.Arbitrary<T[Name]> }): fc.Arbitrary<T> {
  return fc.record<T>(fields, { noNullPrototype: true });
}
