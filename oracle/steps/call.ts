/** A call: decode, first rule that applies, targets, what each vCPU does. */
import type { LapicChanges } from '../../src/program/observation.ts';
import { opens, plainEnvironment } from '../../src/case/steps/environment.ts';
import { isRingEnvironment, type ProgramCall } from '../../src/program/program.ts';
import { atInstruction, type Caller, callerOf } from '../call/caller.ts';
import type { Call } from '../call/decode.ts';
import { effectsOf, notMade } from '../call/effects.ts';
import { decide, type Reach } from '../call/rules.ts';
import { untouchedLapic } from '../state/machine.ts';
import type { StepOutcome } from '../outcome.ts';
import { type Arriving, joinedArrivals } from '../receivers/joined-arrivals.ts';
import type { State } from '../state/state.ts';
import type { StepModel } from './step-model.ts';

const nobody: readonly number[] = [];

export const call: StepModel<'call'> = {
  rules: ['no-hypercall-in-page'],
  // A caller with interrupts on takes what is pending in front of the call, and behind one that raises no exception.
  predict(step, state) {
    if (!opens(step.environment)) return makeCall(step, state);
    const before = takeOpen(step.sender, state);
    const made = makeCall(step, state);
    const after = made.exception === null ? takeOpen(step.sender, state) : state.nothingArrives;
    return { ...made, ...joinedArrivals(before, after), lapics: state.lapics };
  },
};

function takeOpen(position: number, state: State): Arriving {
  state.enter(position);
  return state.apics[position]!.isHardwareEnabled ? state.take([position]) : state.nothingArrives;
}

function makeCall(step: ProgramCall, state: State): StepOutcome {
  const { contract, memory, model, phase } = state;
  const { sender } = step;
  for (let place = 0; place < step.writes.length; place++) memory.write(step.writes[place]!);
  const made = atInstruction(step, memory, contract);
  if (made === null) {
    // Through the ring, the guest program runs all the same.
    if (isRingEnvironment(step.environment)) state.enter(sender);
    return state.outcome('no-hypercall-in-page', notMade, null, nobody, state.nothingArrives);
  }
  const decoded = model.decode(made.registers, memory, contract, callerFor(step, state));
  const rule = decide(model.rules, decoded, contract);
  const { reach } = rule;
  const receivers =
    phase === null
      ? reached(state, decoded, reach, state.vpIndexes, sender)
      : phase.send(decoded.vector & 0xff, (vpIndexes) => reached(state, decoded, reach, vpIndexes, sender));
  state.forget(sender);
  state.enter(sender);
  const arriving = deliver(state, receivers, decoded.vector);
  const effects = effectsOf(rule, step, made, contract, model, state.program.machine.vmmAnswer);
  return state.outcome(rule.name, effects, decoded, receivers, arriving);
}

/** Positions of the vCPUs that get a call if these are the VP indexes. */
function reached(
  { model, apics }: State,
  decoded: Call,
  reach: Reach,
  vpIndexes: readonly number[],
  sender: number,
): readonly number[] {
  const selected = model.select(decoded, reach, vpIndexes, sender);
  return selected.length === 0 ? nobody : selected.filter((position) => model.accepts(apics[position]!));
}

/** Most calls are plain ones by the same few vCPUs: their callers are made once. */
function callerFor({ environment, sender }: ProgramCall, { program, contract, msrs, plainCallers }: State): Caller {
  const known = environment === plainEnvironment ? plainCallers[sender] : undefined;
  if (known !== undefined) return known;
  const caller = callerOf(program, sender, environment, msrs.state.guestOsId, contract);
  if (environment === plainEnvironment) plainCallers[sender] = caller;
  return caller;
}

/** Accepts a vector at each receiver; halted ones take it before the step ends. */
function deliver(state: State, receivers: readonly number[], vector: number): Arriving {
  if (receivers.length === 0) return state.nothingArrives;
  const { model, program } = state;
  const lapics = [...state.lapics];
  let before: LapicChanges | null = null;
  let after = untouchedLapic;
  for (const position of receivers) {
    // vCPUs that are alike stay alike: one copy serves them all.
    if (lapics[position] !== before) {
      before = lapics[position]!;
      after = model.accept(before, vector);
    }
    lapics[position] = after;
  }
  state.lapics = lapics;
  // In a concurrent program nothing is known to have been taken before the fence.
  if (state.isConcurrent || !state.isHalting) return state.nothingArrives;
  return state.take(receivers.filter((position) => program.vcpus[position]!.idle === 'halted'));
}
