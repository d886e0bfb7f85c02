/** Steps that write MSRs as the host. */
import type fc from 'fast-check';
import { HV_SYNIC_SINT_AUTO_EOI, HV_SYNIC_SINT_MASKED, HV_X64_MSR_HYPERCALL_ENABLE } from '../../src/abi/hyperv.ts';
import { makeStep } from '../../src/case/case.ts';
import { isSint } from '../../src/case/limits.ts';
import { defaultGuestOsId } from '../../src/case/machine.ts';
import { arenaStart, ramEnd, romStart } from '../../src/case/memory.ts';
import type { ChangeStep, StepOf } from '../../src/case/steps/kinds.ts';
import { anyWord, refusedVpIndex, vpNumber, vpNumberEdge } from '../integers.ts';
import { among, choice, evenly, just, planOf } from '../plan.ts';
import type { MachineState } from './machine-state.ts';
import { stepPlan } from './step-plan.ts';

type WriteMsr = StepOf<'write-msr'>;

/** A small vector is one of the vCPU's own: SINTs share it. */
const ownVectors = 16n;
/** HV_SYNIC_SINT_POLLING (TLFS 15.3): nothing to KVM. */
const polling = 1n << 18n;
const sintFlags = [
  HV_SYNIC_SINT_AUTO_EOI,
  HV_SYNIC_SINT_AUTO_EOI,
  0n,
  0n,
  HV_SYNIC_SINT_MASKED,
  HV_SYNIC_SINT_MASKED | HV_SYNIC_SINT_AUTO_EOI,
  HV_SYNIC_SINT_AUTO_EOI | polling,
  HV_SYNIC_SINT_AUTO_EOI | polling,
] as const;
const sintVector = choice(
  { weight: 5, arbitrary: among(0n, 1n, 2n) },
  { weight: 3, arbitrary: among(0x10n, 0x31n, 0x80n, 0xfen, 0xffn) },
);
const sintFlag = among(...sintFlags);
const sintWrite = planOf((source) => source.draw(sintFlag) | source.draw(sintVector));

/** The value that a drawn one means for a vCPU that has these vectors. */
export function sintValue(value: bigint, vectors: readonly number[]): bigint {
  const vector = value & 0xffn;
  // Without a SynIC any value but 0 is refused.
  if (vectors.length === 0) return value | HV_SYNIC_SINT_MASKED;
  if (vector >= ownVectors) return value;
  return value - vector + BigInt(vectors[Number(vector) % vectors.length]!);
}

const pageBytes = 0x1000n;
/** Pages of the arena behind the input blocks that calls have by default, and the last page of RAM. */
const pages = Array.from({ length: 4 }, (_, index) => arenaStart + (16n + BigInt(index)) * pageBytes);
const enabled = [...pages, ramEnd - pageBytes].map((page) => page | HV_X64_MSR_HYPERCALL_ENABLE);

/** Values of HV_X64_MSR_HYPERCALL: pages, the locked bit and other low bits, places where no page can be written. */
const hypercallValue = choice(
  { weight: 8, arbitrary: among(...enabled) },
  { weight: 2, arbitrary: among(...enabled.map((value) => value | 2n), enabled[0]! | 0xffcn) },
  { weight: 2, arbitrary: among(0n, pages[0]!, pages[0]! | 2n, 0xffen) },
  {
    weight: 2,
    arbitrary: among(ramEnd | 1n, romStart | 1n, (1n << 40n) | 1n, (1n << 52n) | 1n, (1n << 63n) | 1n),
  },
);

const vpIndexValue = choice(
  { weight: 6, arbitrary: toBigInt(evenly(vpNumberEdge, vpNumber)) },
  { weight: 1, arbitrary: toBigInt(refusedVpIndex) },
  // KVM looks at 32 bits.
  { weight: 1, arbitrary: among((1n << 32n) | 3n, (1n << 63n) | 64n) },
);

const guestOsIdValue = choice(
  { weight: 4, arbitrary: among(0n, defaultGuestOsId) },
  { weight: 1, arbitrary: evenly(among(1n, 1n << 32n), anyWord) },
);

const write = (msr: WriteMsr['msr'], value: fc.Arbitrary<bigint>) => stepPlan('write-msr', { msr: just(msr), value });

/** Draws changes of VP indexes. */
export const moveVpPlan = write('vp-index', vpIndexValue);

export const writePlans = {
  'change.guestOsId': write('guest-os-id', guestOsIdValue),
  'change.hypercall': write('hypercall', hypercallValue),
  'change.vpIndex': moveVpPlan,
  'change.sint': planOf((source) => ({
    ...source.draw(write('sint0', sintWrite)),
    msr: source.draw(among<WriteMsr['msr']>('sint0', 'sint1', 'sint2', 'sint15')),
  })),
};

export function settleWrite(plan: WriteMsr, state: MachineState): WriteMsr {
  const { vcpus } = state.machine;
  const named = state.at(plan.vcpu);
  // Others have no SINTs, where some have: a value that is refused says little.
  const withSints = isSint(plan.msr) ? state.firstFrom(named, (position) => vcpus[position]!.autoEoi.length > 0) : null;
  const vcpu = withSints ?? named;
  const { autoEoi } = vcpus[vcpu]!;
  const value = isSint(plan.msr) ? sintValue(plan.value, autoEoi) : plan.value;
  const step = { ...plan, vcpu, value };
  const page = pageOf(step);
  if (page !== null) state.pages.push(page);
  if (isSint(step.msr) && autoEoi.length > 0) state.sint = { vcpu, vector: Number(value & 0xffn) };
  if (step.msr === 'vp-index') state.vpIndexes[vcpu] = Number(value & 0xfffn);
  return step;
}

/** Enables a page, for a call that wants to go through one. */
export const enablePage = makeStep({ do: 'write-msr', msr: 'hypercall', value: enabled[0]! });

/** The page that a change enables in guest memory; null when it enables none. */
export function pageOf(step: ChangeStep): bigint | null {
  if (step.do !== 'write-msr' || step.msr !== 'hypercall') return null;
  if ((step.value & HV_X64_MSR_HYPERCALL_ENABLE) === 0n || step.value >= ramEnd) return null;
  return step.value & ~(pageBytes - 1n);
}

function toBigInt(number: fc.Arbitrary<number>): fc.Arbitrary<bigint> {
  return planOf((source) => BigInt(source.draw(number)));
}
