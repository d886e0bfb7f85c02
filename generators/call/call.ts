/** Hypercalls: a plain call by one of the machine's vCPUs, made different by a few quirks. */
import type fc from 'fast-check';
import {
  controlWord,
  HV_IPI_HIGH_VECTOR,
  HV_IPI_LOW_VECTOR,
  sendIpiExInput,
  sendIpiInput,
  vpsPerBank,
} from '../../src/abi/hypercall.ts';
import { fieldOf, maxOf } from '../../src/abi/layout.ts';
import type { CallStep, SendIpiExStep } from '../../src/case/case.ts';
import { caseLimits } from '../../src/case/limits.ts';
import { buildEnvironment, type EnvironmentPlan, environmentPlan } from './environment.ts';
import { ascending, legalVector, legalVectorEdge, repeatedVector, vcpuNumber } from '../integers.ts';
import { type AddressAnchor, breakQuirk, oddQuirk, type Quirk } from './quirk.ts';

import { choice, just, planOf, sometimes } from '../plan.ts';
import { oneofFeatures, type Swarm } from '../swarm.ts';
import { buildVpSet, type RunPlan, vpSetPlan } from './vp-set.ts';
import { defaultInputGpa, isAllowedGpa, ramEnd, romEnd, romStart } from '../../src/case/memory.ts';
import { defaultRax, isAllowedRax } from '../../src/case/steps/call.ts';

/** A call before it knows its machine and its place in the case. */
export interface CallPlan {
  readonly kind: CallStep['do'];
  readonly fast: boolean;
  readonly environment: EnvironmentPlan;
  /** Sender, as `vcpuAt` has it; null is the case's usual sender. */
  readonly sender: number | null;
  /** With `distinct`: this vector, or the next one that no step before has, so that one IRR read tells calls apart. */
  readonly vector: { readonly value: number; readonly distinct: boolean };
  readonly targets: readonly RunPlan[];
  readonly oddities: readonly Quirk[];
  readonly breaks: readonly Quirk[];
}

/** What a call must know to be built. */
export interface CallSurroundings {
  /** Number of the step. */
  readonly index: number;
  /** Who makes the call. */
  readonly sender: number;
  /** Effective VP indexes of the machine. */
  readonly vpIndexes: readonly number[];
  /** Vectors of the steps before; the call adds its own. */
  readonly usedVectors: Set<number>;
  /** The vector that a step before gave to a SINT: what has no vector of its own is sent by it. Null where none did. */
  readonly sintVector: number | null;
  /** Hypercall pages that steps before have enabled. */
  readonly pages: readonly bigint[];
  /** Whether a caller may have interrupts on. */
  readonly canOpen: boolean;
}

const defaultTail = maxOf(64);
const headerMax = Number(maxOf(fieldOf(controlWord, 'variableHeaderSize').bits));

/** Draws calls. */
export function callPlan(swarm: Swarm): fc.Arbitrary<CallPlan> {
  const vectorPlan = (value: fc.Arbitrary<number>, distinct: boolean) =>
    planOf((source) => ({ value: source.draw(value), distinct }));
  const kind = oneofFeatures<CallStep['do']>(swarm, {
    'call.sendIpi': just('send-ipi'),
    'call.sendIpiEx': just('send-ipi-ex'),
  });
  const fast = oneofFeatures(swarm, { 'form.slow': just(false), 'form.fast': just(true) });
  const environment = environmentPlan(swarm);
  const sender = sometimes<number | null>(swarm.otherSenderPercent, 100, vcpuNumber, null);
  const vector = oneofFeatures(swarm, {
    'vector.distinct': vectorPlan(legalVector, true),
    'vector.repeated': vectorPlan(repeatedVector, false),
    'vector.edge': vectorPlan(legalVectorEdge, false),
  });
  const targets = vpSetPlan(swarm);
  const oddities = upToTwo([6, 3, 1], oddQuirk(swarm));
  const breaks = upToTwo(swarm.breakCounts, breakQuirk(swarm));
  return planOf((source) => ({
    kind: source.draw(kind),
    fast: source.draw(fast),
    environment: source.draw(environment),
    sender: source.draw(sender),
    vector: source.draw(vector),
    targets: source.draw(targets),
    oddities: source.draw(oddities),
    breaks: source.draw(breaks),
  }));
}

/** The step of a plan. */
export function buildCall(plan: CallPlan, surroundings: CallSurroundings): CallStep {
  const { sender, vpIndexes, usedVectors } = surroundings;
  const isEx = plan.kind === 'send-ipi-ex';
  const { value, distinct } = plan.vector;
  const vector = distinct ? unusedVector(value, usedVectors) : (surroundings.sintVector ?? value);
  const { pages, canOpen } = surroundings;
  const { mode, cpl, page, opcode, rflags } = buildEnvironment(plan.environment, pages, canOpen);
  // Every field by its name, here and below: spread ones take longer than all the rest of drawing a call.
  const step: SendIpiExStep = {
    do: 'send-ipi-ex',
    sender,
    mode,
    cpl,
    page,
    opcode,
    rflags,
    fast: plan.fast,
    vector,
    targetVtl: 0,
    padding: 0,
    variableHeader: null,
    repCount: 0,
    repStart: 0,
    controlBits: [],
    gpa: null,
    outputGpa: 0n,
    tail: defaultTail,
    rax: defaultRax,
    note: '',
    format: 0n,
    targets: buildVpSet(plan.targets, vpIndexes, isEx ? caseLimits.vpNumber : vpsPerBank),
    emptyBanks: [],
    maskFlips: [],
  };
  for (const quirk of plan.oddities) applyQuirk(step, quirk, surroundings, isEx);
  for (const quirk of plan.breaks) applyQuirk(step, quirk, surroundings, isEx);
  usedVectors.add(step.vector);
  return isEx ? step : withoutSet(step);
}

function upToTwo(
  [none, one, two]: readonly [number, number, number],
  quirk: fc.Arbitrary<Quirk>,
): fc.Arbitrary<readonly Quirk[]> {
  return choice<readonly Quirk[]>(
    { weight: none, arbitrary: just([]) },
    { weight: one, arbitrary: planOf((source) => [source.draw(quirk)]) },
    { weight: two, arbitrary: planOf((source) => [source.draw(quirk), source.draw(quirk)]) },
  );
}

function unusedVector(wanted: number, used: ReadonlySet<number>): number {
  let vector = wanted;
  while (used.has(vector)) {
    vector = vector === HV_IPI_HIGH_VECTOR ? HV_IPI_LOW_VECTOR : vector + 1;
    // Every legal vector is used: 240 are more than a case has steps, but the bound must not rest on that.
    if (vector === wanted) break;
  }
  return vector;
}

function applyQuirk(step: SendIpiExStep, quirk: Quirk, surroundings: CallSurroundings, isEx: boolean): void {
  switch (quirk.on) {
    case 'vector':
    case 'repCount':
    case 'repStart':
    case 'targetVtl':
    case 'padding':
      step[quirk.on] = quirk.value;
      return;
    case 'format':
    case 'outputGpa':
    case 'tail':
      step[quirk.on] = quirk.value;
      return;
    case 'rax':
      if (isAllowedRax(quirk.value)) step.rax = quirk.value;
      return;
    case 'controlBits':
    case 'emptyBanks':
      step[quirk.on] = ascending(quirk.bits);
      return;
    case 'variableHeader': {
      const base = quirk.from === 'banks' && isEx ? givenBanks(step).length : 0;
      step.variableHeader = (base + quirk.value) & headerMax;
      return;
    }
    case 'mask':
      step.maskFlips = ascending(quirk.bits);
      // The other call has no mask to disagree with; what it can have too much is the header itself.
      if (!isEx && !quirk.headerFollows) step.variableHeader = step.maskFlips.length;
      if (isEx && quirk.headerFollows) step.variableHeader = maskedBanks(step).size;
      return;
    case 'moveBank': {
      const banks = givenBanks(step);
      if (banks.length > 0) step.maskFlips = ascending([banks[quirk.place % banks.length]!, quirk.to]);
      return;
    }
    case 'address':
      // A fast call has no address.
      if (!step.fast) step.gpa = addressOf(quirk, surroundings, blockBytes(step, isEx));
      return;
  }
}

function addressOf(
  { anchor, offset }: { anchor: AddressAnchor; offset: bigint },
  { index, pages }: CallSurroundings,
  length: bigint,
): bigint | null {
  const slotsEnd = defaultInputGpa(caseLimits.steps);
  const pageBytes = 0x1000n;
  const firstPageEnd = (slotsEnd / pageBytes + 1n) * pageBytes;
  const pageEnds = (ramEnd - firstPageEnd) / pageBytes;
  const base = {
    zero: 0n,
    slot: defaultInputGpa(index),
    // A page end of the step's own as far as there are enough, so that blocks do not overwrite each other.
    page: firstPageEnd + (BigInt(index) % pageEnds) * pageBytes,
    ram: ramEnd,
    block: ramEnd - length,
    rom: romStart,
    romEnd,
    hypercallPage: pages.at(-1) ?? defaultInputGpa(index),
  }[anchor];
  const address = base + offset;
  return isAllowedGpa(address) ? address : null;
}

function blockBytes(step: SendIpiExStep, isEx: boolean): bigint {
  const fixed = (isEx ? sendIpiExInput : sendIpiInput).bits / 8;
  return BigInt(isEx ? fixed + 8 * givenBanks(step).length : fixed);
}

/** Banks whose contents are given, ascending. */
function givenBanks({ targets, emptyBanks }: SendIpiExStep): number[] {
  return ascending([...targets.map((vp) => Math.floor(vp / vpsPerBank)), ...emptyBanks]);
}

/** Banks that the valid bank mask names. */
function maskedBanks(step: SendIpiExStep): Set<number> {
  const banks = new Set(givenBanks(step));
  for (const bank of step.maskFlips) if (!banks.delete(bank)) banks.add(bank);
  return banks;
}

/** The step as the call that has a processor mask instead of a VP set. */
function withoutSet(step: SendIpiExStep): CallStep {
  return {
    do: 'send-ipi',
    sender: step.sender,
    mode: step.mode,
    cpl: step.cpl,
    page: step.page,
    opcode: step.opcode,
    rflags: step.rflags,
    fast: step.fast,
    vector: step.vector,
    targetVtl: step.targetVtl,
    padding: step.padding,
    variableHeader: step.variableHeader,
    repCount: step.repCount,
    repStart: step.repStart,
    controlBits: step.controlBits,
    gpa: step.gpa,
    outputGpa: step.outputGpa,
    tail: step.tail,
    rax: step.rax,
    note: step.note,
    targets: step.targets,
  };
}
