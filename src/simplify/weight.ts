/** Which of two cases is simpler. The order is what a person would prefer to read. */
import { HV_IPI_HIGH_VECTOR, HV_IPI_LOW_VECTOR } from '../abi/hypercall.ts';
import { type CallStep, type Case, makeVcpu, type VcpuSetup } from '../case/case.ts';
import { apicStates, cpuidFeatures, idleKinds, irqchips, runsMeanwhile } from '../case/limits.ts';
import { defaultGuestOsId, defaultVmmAnswer } from '../case/machine.ts';
import { type Neighbour, neighbourLives, oddNeighbourFields, xenKinds } from '../case/neighbour.ts';
import { environmentWeight } from '../case/steps/environment.ts';
import { isCall, stepKinds } from '../case/steps/kinds.ts';
import { weighChange } from './change-fields.ts';

/** The vector that a case uses when the vector does not matter. */
export const plainVector = 0xfe;

/** Compared from the left. */
export type Weight = readonly bigint[];

/**
 * Sequential before concurrent; fewer vCPU threads; at least one call; fewer steps; fewer vCPUs; fewer fields that are not
 * at their default; fewer bits; plainer vectors and VP indexes; smaller numbers.
 */
export function weigh({
  machine: { vcpus, irqchip, xen, guestOsId, schedule, neighbour, vmmAnswer },
  steps,
}: Case): Weight {
  const calls = steps.filter(isCall);
  const changes = steps.filter((step) => !isCall(step)).map(weighChange);
  const sum = <T>(items: readonly T[], of: (item: T, index: number) => bigint | number): bigint =>
    items.reduce((total, item, index) => total + BigInt(of(item, index)), 0n);
  return [
    BigInt(Number(schedule !== null)),
    sum(vcpus, (vcpu) => Number(runsMeanwhile(vcpu))),
    BigInt(Number(calls.length === 0)),
    BigInt(steps.length),
    BigInt(vcpus.length),
    BigInt(Number(neighbour !== null)),
    BigInt(
      Number(irqchip !== 'kernel') +
        xenWeight(xen) +
        Number(guestOsId !== defaultGuestOsId) +
        Number(vmmAnswer !== defaultVmmAnswer),
    ) +
      // A vCPU without Hyper-V is odder than a machine that has not said who it is.
      sum(vcpus, ({ lacks }) => 2 * Number(lacks.includes('hyperv'))),
    sum(vcpus, oddVcpuFields),
    sum(vcpus, ({ lacks, irr, isr, autoEoi }) => lacks.length + irr.length + isr.length + autoEoi.length),
    sum(steps, (step) => Number(step.do !== 'run')),
    sum(changes, ({ odd }) => odd),
    sum(calls, (step) => oddFields(step).length + oddSet(step) + Number(isMisaligned(step))),
    sum(calls, listLength),
    sum(calls, runsOf),
    sum(calls, (step) => (step.do === 'send-ipi-ex' ? step.emptyBanks.length : 0)),
    sum(calls, (step) => vectorWeight(step.vector)),
    // The plain vector comes first, so that a second one is where something is different.
    sum(calls, (step, index) => vectorWeight(step.vector) * (calls.length - index)),
    sum(vcpus, ({ vpIndex }, position) => Number(vpIndex !== position)),
    sum(vcpus, ({ vpIndex }) => vpIndex),
    sum(calls, (step) => step.sender),
    sum(calls, (step) => step.targets.reduce((total, vp) => total + vp, 0)),
    sum(calls, magnitude),
    sum(
      vcpus,
      ({ apic, idle, tpr, vcpuId }) => apicStates.indexOf(apic) + idleKinds.indexOf(idle) + tpr + (vcpuId ?? 0),
    ),
    sum(vcpus, ({ lacks }) => lacks.reduce((total, name) => total + cpuidFeatures.indexOf(name), 0)),
    sum(vcpus, ({ irr, isr, autoEoi }) =>
      [...irr, ...isr, ...autoEoi].reduce((total, vector) => total + vectorWeight(vector), 0),
    ),
    sum(calls, environmentWeight),
    sum(changes, ({ numbers }) => numbers),
    sum(changes, ({ vcpu }) => vcpu),
    sum(changes, ({ words }) => words),
    guestOsId,
    vmmAnswer,
    neighbour === null ? 0n : weighNeighbour(neighbour),
    BigInt(irqchips.indexOf(irqchip)),
    BigInt(schedule ?? 0),
  ];
}

function xenWeight(xen: Case['machine']['xen']): number {
  return xen === 'flag' ? 2 : Number(xen);
}

/** How far a neighbour is from a plain one. */
function weighNeighbour(neighbour: Neighbour): bigint {
  return BigInt(
    16 * oddNeighbourFields(neighbour).length +
      neighbourLives.indexOf(neighbour.life) +
      xenKinds.indexOf(neighbour.xen),
  );
}

export function isLighter(left: Weight, right: Weight): boolean {
  for (const [index, value] of left.entries()) {
    const other = right[index] ?? 0n;
    if (value !== other) return value < other;
  }
  return false;
}

/** For `sort`: the lighter one first. */
export function compareWeights(left: Weight, right: Weight): number {
  return isLighter(left, right) ? -1 : isLighter(right, left) ? 1 : 0;
}

const plainVcpu = makeVcpu({});
/** Lists and VP indexes have weights of their own. */
const scalarVcpuFields = (Object.keys(plainVcpu) as (keyof VcpuSetup)[]).filter(
  (name) => name !== 'vpIndex' && !Array.isArray(plainVcpu[name]),
);

/** How many fields of a vCPU, its VP index and its lists excepted, do not have their default. */
function oddVcpuFields(vcpu: VcpuSetup): number {
  return scalarVcpuFields.filter((name) => vcpu[name] !== plainVcpu[name]).length;
}

/** Lists and the sender have weights of their own. */
const weighedApart: ReadonlySet<string> = new Set([
  'do',
  'note',
  'vector',
  'sender',
  'targets',
  'emptyBanks',
  'maskFlips',
  'controlBits',
]);

/** Names of the scalar fields that do not have their default. */
export function oddFields(step: CallStep): string[] {
  const plain: Record<string, unknown> = stepKinds[step.do].plain;
  return Object.entries(step)
    .filter(([name, value]) => !weighedApart.has(name) && value !== plain[name])
    .map(([name]) => name);
}

/** An address that is not a multiple of eight is one more thing to wonder about. */
function isMisaligned({ gpa }: CallStep): boolean {
  return gpa !== null && (gpa & 7n) !== 0n;
}

/** A set of banks is odder than a mask, one that mixes targets with empty banks more so, and most one that contradicts itself. */
function oddSet(step: CallStep): number {
  if (step.do === 'send-ipi') return 0;
  const { targets, emptyBanks, maskFlips } = step;
  return 1 + Number(targets.length > 0 && emptyBanks.length > 0) + (maskFlips.length > 0 ? 2 : 0);
}

function listLength(step: CallStep): number {
  const own = step.do === 'send-ipi-ex' ? step.emptyBanks.length + step.maskFlips.length : 0;
  return step.targets.length + step.controlBits.length + own;
}

/** How many runs of numbers the lists are written with. */
function runsOf(step: CallStep): number {
  const lists = step.do === 'send-ipi-ex' ? [step.targets, step.emptyBanks, step.maskFlips] : [step.targets];
  return lists.flatMap((list) => list.filter((member) => !list.includes(member - 1))).length;
}

/** The plain vector, then legal ones by how far they are below it, then illegal ones by how far they are outside. */
function vectorWeight(vector: number): number {
  if (vector < HV_IPI_LOW_VECTOR) return 0x200 - vector;
  if (vector > HV_IPI_HIGH_VECTOR) return 0x200 + vector;
  return vector > plainVector ? 0x1f0 : plainVector - vector;
}

/** Size of all numbers of a step; makes smaller numbers simpler where nothing else differs. */
function magnitude(step: CallStep): bigint {
  const { plain } = stepKinds[step.do];
  const { padding, repCount, repStart, variableHeader, targetVtl, controlBits, gpa, outputGpa, tail, page } = step;
  // Padding says less than a VTL, and bit 63 is reserved in every reading of the specification.
  const numbers = [padding, repCount, repStart, variableHeader ?? 0, targetVtl * 0x100];
  const lists = step.do === 'send-ipi-ex' ? [...step.emptyBanks, ...step.maskFlips] : [];
  const small = [...numbers, ...lists, ...controlBits.map((bit) => 63 - bit)].reduce(
    (total, value) => total + value,
    0,
  );
  const large = [
    page ?? 0n,
    step.rax === plain.rax ? 0n : step.rax,
    step.do === 'send-ipi-ex' ? step.format : 0n,
    gpa ?? 0n,
    outputGpa,
    tail === plain.tail ? 0n : tail,
  ];
  return large.reduce((total, value) => total + value, BigInt(small));
}
