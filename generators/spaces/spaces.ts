/**
 * Small subspaces that are walked completely instead of sampled. A space is a list of points; a point is a call (with
 * what must be done before it), and as many points as fit share a case. Legal vectors are given out one after the
 * other, because a vector that is pending already hides a second delivery.
 */
import { HV_IPI_HIGH_VECTOR, HV_IPI_LOW_VECTOR } from '../../src/abi/hypercall.ts';
import { type CallStep, type Case, makeCase, makeStep, type Step } from '../../src/case/case.ts';
import { caseLimits } from '../../src/case/limits.ts';
import * as points from './space-points.ts';

export interface Space {
  readonly name: string;
  /** What is walked, in the words of its fields. */
  readonly what: string;
  regions(): Iterable<points.Region>;
}

/** A space of which all points are of the plain machine. */
const plain = (name: string, what: string, all: () => Iterable<points.Point>): Space => ({
  name,
  what,
  regions: () => [{ vcpus: points.two, points: all() }],
});

export const spaces: readonly Space[] = [
  plain(
    'headers',
    'call 0x0015: slow and fast, format 0, 1 and 2, 0 to 64 banks, variable header 0 to 1023, vector legal and 0x100',
    points.headerPoints,
  ),
  plain(
    'sets',
    'call 0x0015: slow and fast, eight formats, 0 to 64 banks, header off by -2 to 2, vector 0x0f, 0x100 and legal',
    points.setPoints,
  ),
  plain(
    'control-bits',
    'every bit of the control word alone and in pairs: both calls, slow and fast, long, compat and 32-bit mode',
    points.controlBitPoints,
  ),
  plain(
    'reps',
    'rep count 0 to 4095 with rep start 0, 1 and 4095, and the other way round: both calls, slow and fast',
    points.repPoints,
  ),
  plain(
    'vectors',
    'vector 0 to 0x1ff and each single bit above: both calls, slow and fast, and the set of all VPs',
    points.vectorPoints,
  ),
  plain(
    'vp-indexes',
    'VP index 0 to 4095 of one vCPU: call 0x0015 slow and fast, to it and to the VP beside it, in one and in all banks',
    points.vpIndexPoints,
  ),
  plain(
    'mask-pairs',
    'every pair of valid banks with one of them targeted: slow and fast, VP in the lower and in the upper bank',
    points.maskPairPoints,
  ),
  plain(
    'addresses',
    'every byte of address around a page end, the end of RAM and the end of the read-only slot, 0 to 64 banks',
    points.addressPoints,
  ),
  {
    name: 'entries',
    what: 'every mode, CPL and instruction, GUEST_OS_ID 0 or not, Xen intercepted or not, both calls slow and fast, vector bad or not',
    regions: points.environmentRegions,
  },
  {
    name: 'cpuid',
    what: 'every combination of missing CPUID features, enforced or not, both calls slow and fast, alone and with each other mistake',
    regions: points.cpuidRegions,
  },
  {
    name: 'priorities',
    what: 'TPR class 0 to 15, vector in service in class 1 to 15 or none, interrupts at both ends of all classes, then run',
    regions: points.priorityRegions,
  },
];

/** The cases of a space, in order, and how many points each has. */
export function* casesOf(space: Space): Generator<{ readonly value: Case; readonly points: number }> {
  for (const { vcpus, machine, runs, points: all } of space.regions()) {
    let steps: Step[] = [];
    let count = 0;
    let vector = HV_IPI_LOW_VECTOR;
    const run: Step[] = runs ? [makeStep({ do: 'run' })] : [];
    const finish = () => {
      const value = makeCase(vcpus, [...steps, ...run], machine);
      const done = { value, points: count };
      [steps, count, vector] = [[], 0, HV_IPI_LOW_VECTOR];
      return done;
    };
    for (const { before = [], call, vector: wanted } of all) {
      const isFull = steps.length + before.length + 1 + run.length > caseLimits.steps || vector > HV_IPI_HIGH_VECTOR;
      if (isFull && count > 0) yield finish();
      const given = wanted ?? vector++;
      steps.push(...before, { ...makeStep<CallStep['do']>({ do: call.do }), ...call, vector: given } as CallStep);
      count++;
    }
    if (count > 0) yield finish();
  }
}
