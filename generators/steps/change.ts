/** Steps that change the machine: MSRs, APICs, INIT, migration. */
import type fc from 'fast-check';
import { HV_SYNIC_SINT_AUTO_EOI, HV_SYNIC_SINT_MASKED, HV_X64_MSR_HYPERCALL_ENABLE } from '../../src/abi/hyperv.ts';
import { makeStep, type Step } from '../../src/case/case.ts';
import { apicChanges, msrReaders, readableMsrs } from '../../src/case/limits.ts';
import { vmmDeeds } from '../../src/case/steps/vmm.ts';
import { arenaStart, ramEnd, romStart } from '../../src/case/memory.ts';
import { anyWord, refusedVpIndex, vcpuNumber, vpNumber, vpNumberEdge } from '../integers.ts';
import { among, choice, evenly, just, planOf } from '../plan.ts';
import { oneofFeatures, type Swarm } from '../swarm.ts';
import { defaultGuestOsId } from '../../src/case/machine.ts';

/** A small vector is one of the vCPU's own: SINTs share it. */
const ownVectors = 16n;
const sintFlags = [
  HV_SYNIC_SINT_AUTO_EOI,
  HV_SYNIC_SINT_AUTO_EOI,
  0n,
  0n,
  HV_SYNIC_SINT_MASKED,
  HV_SYNIC_SINT_MASKED | HV_SYNIC_SINT_AUTO_EOI,
  HV_SYNIC_SINT_AUTO_EOI | (1n << 18n),
] as const;
const sintVector = choice(
  { weight: 5, arbitrary: among(0n, 1n, 2n) },
  { weight: 2, arbitrary: among(0x10n, 0x31n, 0x80n, 0xfen, 0xffn) },
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

/** A step that is no call; its vCPU is as `vcpuAt` has it. */
export type ChangePlan = Extract<
  Step,
  { do: 'write-msr' | 'set-apic' | 'read-msr' | 'init' | 'sipi' | 'migrate' | 'vmm' }
>;

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

/** A vCPU gets another VP index; its vCPU is modulo those that can. */
export type MoveVpPlan = Extract<Step, { do: 'write-msr' }>;

const writeMsr = (msr: MoveVpPlan['msr'], value: fc.Arbitrary<bigint>) =>
  planOf<MoveVpPlan>((source) => ({
    do: 'write-msr',
    vcpu: source.draw(vcpuNumber),
    msr,
    value: source.draw(value),
    note: '',
  }));

/** Draws changes of VP indexes. */
export const moveVpPlan = writeMsr('vp-index', vpIndexValue);

const sipiPage = among(0, 1, 0x7f, 0x80, 0xff);
const setApic = among(...apicChanges);
const vmmDeed = among(...vmmDeeds);

const readMsr = planOf<ChangePlan>((source) => ({
  do: 'read-msr',
  vcpu: source.draw(vcpuNumber),
  msr: source.draw(among(...readableMsrs)),
  by: source.draw(among(...msrReaders)),
  note: '',
}));

const migrate = just<ChangePlan>(makeStep({ do: 'migrate' }));
/** A vCPU more costs some 16 ioctls more, so that with 70 of them one migration takes as long as ten other cases. */
const rareMigrate = choice({ weight: 7, arbitrary: readMsr }, { weight: 1, arbitrary: migrate });

/** Draws changes. */
export function changePlan(swarm: Swarm): fc.Arbitrary<ChangePlan> {
  return oneofFeatures<ChangePlan>(swarm, {
    'change.guestOsId': writeMsr('guest-os-id', guestOsIdValue),
    'change.hypercall': writeMsr('hypercall', hypercallValue),
    'change.vpIndex': moveVpPlan,
    'change.sint': planOf((source) => ({
      ...source.draw(writeMsr('sint0', sintWrite)),
      msr: source.draw(among('sint0', 'sint1', 'sint2', 'sint15')),
    })),
    'change.readMsr': readMsr,
    'change.apic': planOf((source) => ({
      do: 'set-apic',
      vcpu: source.draw(vcpuNumber),
      apic: source.draw(setApic),
      note: '',
    })),
    'change.migrate': swarm.isLarge || swarm.huge !== null ? rareMigrate : migrate,
    'change.vmm': planOf((source) => makeStep({ do: 'vmm', does: source.draw(vmmDeed) })),
    'change.sipi': planOf((source) => ({
      do: 'sipi',
      vcpu: source.draw(vcpuNumber),
      page: source.draw(sipiPage),
      note: '',
    })),
    'change.init': planOf((source) => ({ do: 'init', vcpu: source.draw(vcpuNumber), note: '' })),
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

function toBigInt(number: fc.Arbitrary<number>): fc.Arbitrary<bigint> {
  return planOf((source) => BigInt(source.draw(number)));
}
