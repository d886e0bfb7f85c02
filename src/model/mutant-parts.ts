/** What a mutant is, and the pieces that mutants are made of: replacements for single parts of the model. */
import { vpsPerBank, xmmRegisterCount } from '../abi/hypercall.ts';
import { type Case, makeCase, makeStep, type SendIpiExStep, type SendIpiStep } from '../case/case.ts';
import type { Observation, StepObservation } from '../program/observation.ts';
import { type Program, registerOffset } from '../program/program.ts';
import { type Call, decodeCall, isIpiEx } from '../../oracle/call/decode.ts';
import type { Model } from '../../oracle/parts.ts';
import type { Outcome } from '../../oracle/outcome.ts';
import { kvmRules, type Rule } from '../../oracle/call/rules.ts';
import { isInSlot, namesVp, selectTargets } from '../../oracle/call/targets.ts';
import { hasBit, popcountBelow } from '../../oracle/words.ts';

export type Parts = Partial<Model>;

export interface Mutant {
  /** As in `--target model:NAME`. */
  readonly name: string;
  /** What this KVM does wrong. */
  readonly description: string;
  /** The case that a person would have written to show it. */
  readonly minimal: Case;
  /** The model's parts that are wrong; called once for each program, because a wrong part may remember. */
  createParts?(): Parts;
  /** What the wrong KVM shows besides what the outcome says. */
  observe?(observation: Observation, outcome: Outcome, program: Program): Observation;
}

/** Slot of a bank in the bank array: the number of lower valid banks. */
export const slotOf = (call: Call, bank: number): number => popcountBelow(call.mask, bank);

/**
 * The rules with one of them changed.
 *
 * @throws Error when no rule has that name.
 */
export function withRule(name: string, change: Partial<Rule>): Parts {
  if (!kvmRules.some((rule) => rule.name === name)) throw new Error(`no rule is named ${name}`);
  return { rules: kvmRules.map((rule) => (rule.name === name ? { ...rule, ...change } : rule)) };
}

/** The rules without one of them. */
export function withoutRule(name: string): Parts {
  return withRule(name, { applies: () => false });
}

/** A decoded call that is changed before the rules see it. */
export function withDecoded(change: (call: Call) => Partial<Call>): Parts {
  return {
    decode: (registers, memory, contract, caller) => {
      const call = decodeCall(registers, memory, contract, caller);
      return { ...call, ...change(call) };
    },
  };
}

/** Registers that are changed before they are decoded. */
export function withRegisters(change: (registers: Buffer, call: Call) => void): Parts {
  return {
    decode: (registers, memory, contract, caller) => {
      const changed = Buffer.from(registers);
      change(changed, decodeCall(registers, memory, contract, caller));
      return decodeCall(changed, memory, contract, caller);
    },
  };
}

/** Targets that are changed after the model selected them; `vpIndexes` tells who they are. */
export function withTargets(
  change: (positions: number[], vpIndexes: readonly number[], sender: number) => number[],
): Parts {
  return {
    select: (call, reach, vpIndexes, sender) => change(selectTargets(call, reach, vpIndexes), vpIndexes, sender),
  };
}

/** Targets that are selected by other VP indexes than the machine's. */
export function withVpIndexes(change: (vpIndex: number, position: number) => number): Parts {
  return { select: (call, reach, vpIndexes) => selectTargets(call, reach, vpIndexes.map(change)) };
}

/** A sparse set of which another slot is read for a bank. */
export function withSlots(slot: (call: Call, bank: number) => number): Parts {
  const names = (call: Call, vpIndex: number): boolean => {
    const bank = Math.floor(vpIndex / vpsPerBank);
    return hasBit(call.mask, bank) && isInSlot(call, slot(call, bank), vpIndex);
  };
  return {
    select: (call, reach, vpIndexes) => {
      if (reach !== 'named' || !isIpiEx(call)) return selectTargets(call, reach, vpIndexes);
      return [...vpIndexes.keys()].filter((position) => names(call, vpIndexes[position]!));
    },
  };
}

/** The low and the high half of every XMM register change places. */
export function swapXmmHalves(registers: Buffer): void {
  for (let register = 0; register < xmmRegisterCount; register++) {
    const low = registerOffset.xmm + 16 * register;
    registers.subarray(low, low + 16).swap64();
    registers.subarray(low, low + 16).reverse();
  }
}

/** A sender whose longer set of an earlier call is still there behind a shorter one. Remembers, so one per program. */
export function rememberBanks(): Parts {
  const earlier = new Map<number, Call>();
  return {
    select: (call, reach, vpIndexes, sender) => {
      const named = selectTargets(call, reach, vpIndexes);
      if (reach !== 'named' || !isIpiEx(call)) return named;
      const stale = earlier.get(sender);
      if (stale === undefined || stale.maskCount <= call.maskCount) {
        earlier.set(sender, call);
        return named;
      }
      const isStale = (vp: number): boolean => !hasBit(call.mask, vp >>> 6) && namesVp(stale, vp);
      return [...vpIndexes.keys()].filter((at) => namesVp(call, vpIndexes[at]!) || isStale(vpIndexes[at]!));
    },
  };
}

/** An `observe` that changes each step; `rule` is the one that decided it. */
export function changeSteps(
  change: (step: StepObservation, rule: string) => StepObservation,
): NonNullable<Mutant['observe']> {
  return (observation, outcome) => ({
    ...observation,
    steps: observation.steps.map((step, index) => change(step, outcome.steps[index]!.rule)),
  });
}

/** One vCPU of this VP index that does these steps. */
export const alone = (vpIndex: number, ...steps: Case['steps']): Case => makeCase([{ vpIndex }], steps);
export const sendIpi = (step: Partial<SendIpiStep> = {}) => makeStep({ do: 'send-ipi', ...step });
export const sendIpiEx = (step: Partial<SendIpiExStep> = {}) => makeStep({ do: 'send-ipi-ex', ...step });
export const run = makeStep({ do: 'run' });
