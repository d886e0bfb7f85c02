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
import { type EnvironmentPlan, environmentPlan, setEnvironment } from './environment.ts';
import { ascending, legalVector, legalVectorEdge, repeatedVector, vcpuNumber } from '../integers.ts';
import { type AddressAnchor, breakQuirk, oddQuirk, type Quirk } from './quirk.ts';

import { choice, just, planOf, sometimes } from '../plan.ts';
import type { GivenSint } from '../steps/machine-state.ts';
import { oneofFeatures, type Swarm } from '../swarm.ts';
import { buildVpSet, type RunPlan, vpSetPlan } from './vp-set.ts';
import { defaultInputGpa, isAllowedGpa, ramEnd, romEnd, romStart } from '../../src/case/memory.ts';
import { isAllowedRax } from '../../src/case/steps/call.ts';
import { stepKinds } from '../../src/case/steps/kinds.ts';

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
  /** What a step before gave to a SINT: a call that has no vector of its own sends that one to that vCPU. Null where none did. */
  readonly sint: GivenSint | null;
  /** Hypercall pages that steps before have enabled. */
  readonly pages: readonly bigint[];
  /** Whether a caller may have interrupts on. */
  readonly canOpen: boolean;
}

const { plain: plainIpi } = stepKinds['send-ipi'];
const { plain: plainIpiEx } = stepKinds['send-ipi-ex'];
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
  const sint = distinct ? null : surroundings.sint;
  const vector = distinct ? unusedVector(value, usedVectors) : (sint?.vector ?? value);
  const { pages, canOpen } = surroundings;
  const runs = sint === null ? plan.targets : [...plan.targets, { vcpu: sint.vcpu, offset: 0, count: 1, stride: 1 }];
  const targets = buildVpSet(runs, vpIndexes, isEx ? caseLimits.vpNumber : vpsPerBank);
  const { fast } = plan;
  const step: CallStep = isEx
    ? { ...plainIpiEx, sender, fast, vector, targets }
    : { ...plainIpi, sender, fast, vector, targets };
  setEnvironment(step, plan.environment, pages, canOpen);
  for (const quirk of plan.oddities) applyQuirk(step, quirk, surroundings);
  for (const quirk of plan.breaks) applyQuirk(step, quirk, surroundings);
  usedVectors.add(step.vector);
  return step;
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

/** What a call has no field for leaves it as it is. */
function applyQuirk(step: CallStep, quirk: Quirk, surroundings: CallSurroundings): void {
  const isEx = step.do === 'send-ipi-ex';
  switch (quirk.on) {
    case 'vector':
    case 'repCount':
    case 'repStart':
    case 'targetVtl':
    case 'padding':
      step[quirk.on] = quirk.value;
      return;
    case 'outputGpa':
    case 'tail':
      step[quirk.on] = quirk.value;
      return;
    case 'format':
      if (isEx) step.format = quirk.value;
      return;
    case 'rax':
      if (isAllowedRax(quirk.value)) step.rax = quirk.value;
      return;
    case 'controlBits':
      step.controlBits = ascending(quirk.bits);
      return;
    case 'emptyBanks':
      if (isEx) step.emptyBanks = ascending(quirk.bits);
      return;
    case 'variableHeader': {
      const base = quirk.from === 'banks' && isEx ? givenBanks(step).length : 0;
      step.variableHeader = (base + quirk.value) & headerMax;
      return;
    }
    case 'mask': {
      const flips = ascending(quirk.bits);
      if (isEx) {
        step.maskFlips = flips;
        if (quirk.headerFollows) step.variableHeader = maskedBanks(step).size;
      } else if (!quirk.headerFollows) {
        // It has no mask to disagree with; what it can have too much is the header itself.
        step.variableHeader = flips.length;
      }
      return;
    }
    case 'moveBank': {
      const banks = isEx ? givenBanks(step) : [];
      if (isEx && banks.length > 0) step.maskFlips = ascending([banks[quirk.place % banks.length]!, quirk.to]);
      return;
    }
    case 'address':
      // A fast call has no address.
      if (!step.fast) step.gpa = addressOf(quirk, surroundings, blockBytes(step));
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

function blockBytes(step: CallStep): bigint {
  if (step.do === 'send-ipi') return BigInt(sendIpiInput.bits / 8);
  return BigInt(sendIpiExInput.bits / 8 + 8 * givenBanks(step).length);
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
