/** Ways to make the fields of single calls simpler. */
import { vpsPerBank } from '../abi/hypercall.ts';
import { maxOf } from '../abi/layout.ts';
import { type CallStep, type Case, makeStep, type SendIpiExStep, type Step } from '../case/case.ts';
import { plainerEnvironments } from '../case/steps/environment.ts';
import { ascending, between, callsOf, type Pass, sublists, withCall, xenHypervBit } from './edits.ts';
import { plainerAddresses } from './reductions-address.ts';
import { vectorPasses } from './reductions-vectors.ts';
import { oddFields } from './weight.ts';
import { isAllowedGpa } from '../case/memory.ts';

/** Lists that are fields like others when it comes to what a call needs at all. */
const listFields = ['targets', 'emptyBanks', 'maskFlips', 'controlBits'] as const;

/** The call with some of what is not at its default: nothing, one thing, all but a few; as the older call if it can. */
function* fewerFields(value: Case): Generator<Case> {
  for (const [index, step] of callsOf(value)) {
    const { sender, vector } = step;
    const fields: Record<string, unknown> = step;
    const lists = listFields.filter((name) => ((fields[name] as number[] | undefined) ?? []).length > 0);
    for (const kept of sublists([...oddFields(step), ...lists])) {
      const extras = Object.fromEntries(kept.map((name) => [name, fields[name]]));
      const isPlain = kept.every((name) => name in plainIpi) && (!kept.includes('targets') || fitsMask(step));
      if (isPlain) yield withCall(value, index, () => ({ ...plainIpi, sender, vector, ...extras }));
      yield withCall(
        value,
        index,
        () => ({ ...makeStep<Step['do']>({ do: step.do }), sender, vector, ...extras }) as Step,
      );
    }
  }
}

const plainIpi = makeStep({ do: 'send-ipi' });

function fitsMask({ targets }: CallStep): boolean {
  return targets.every((vp) => vp < vpsPerBank);
}

/** The older call says the same as the newer one where all VP indexes are in its mask; who is meant may be everybody. */
function* plainCall(value: Case): Generator<Case> {
  for (const [index, step] of callsOf(value)) {
    const everybody = ascending(value.machine.vcpus.map(({ vpIndex }) => vpIndex)).filter((vp) => vp < vpsPerBank);
    if (step.do === 'send-ipi-ex') {
      const { sender, vector } = step;
      yield withCall(value, index, () => makeStep({ do: 'send-ipi', sender, vector, targets: everybody }));
    }
    if (step.do !== 'send-ipi-ex' || !fitsMask(step)) continue;
    const { format: _format, emptyBanks: _emptyBanks, maskFlips: _maskFlips, ...rest } = step;
    yield withCall(value, index, () => ({ ...rest, do: 'send-ipi' }));
    // The input is one word shorter: one that ran over the end of memory still does when it starts a word later.
    if (rest.gpa === null || !isAllowedGpa(rest.gpa + 8n)) continue;
    yield withCall(value, index, () => ({ ...rest, do: 'send-ipi', gpa: rest.gpa! + 8n }));
  }
}

function* fewerBits(value: Case): Generator<Case> {
  for (const [index, step] of callsOf(value)) {
    for (const controlBits of sublists(step.controlBits))
      yield withCall(value, index, (call) => ({ ...call, controlBits }));
    // Ranges over several banks come to rest where no part of them can go.
    yield* withHeader(value, index, step, { targets: lowestOfBanks(step.targets) });
    for (const targets of sublists(step.targets)) yield* withHeader(value, index, step, { targets });
    if (step.do !== 'send-ipi-ex') continue;
    for (const emptyBanks of sublists(step.emptyBanks)) yield* withHeader(value, index, step, { emptyBanks });
    for (const maskFlips of sublists(step.maskFlips)) yield* withHeader(value, index, step, { maskFlips });
    // A bank that only one flip takes out of the mask again says nothing: both go.
    for (const bank of step.emptyBanks.filter((one) => step.maskFlips.includes(one))) {
      const without = (banks: readonly number[]): number[] => banks.filter((other) => other !== bank);
      yield* withHeader(value, index, step, {
        emptyBanks: without(step.emptyBanks),
        maskFlips: without(step.maskFlips),
      });
    }
  }
}

/** A call with other lists. A header that was written out moves with the number of banks, or stays. */
function* withHeader(value: Case, index: number, step: CallStep, lists: Partial<SendIpiExStep>): Generator<Case> {
  const changed = { ...step, ...lists } as CallStep;
  yield withCall(value, index, () => changed);
  // A block that is shorter by some banks ends in the same place when it starts as many words later.
  const gpa = step.gpa === null ? null : step.gpa + 8n * BigInt(bankCount(step) - bankCount(changed));
  if (gpa !== null && gpa !== step.gpa && isAllowedGpa(gpa) && gpa <= maxOf(64)) {
    yield withCall(value, index, () => ({ ...changed, gpa }));
  }
  if (step.variableHeader === null) return;
  const variableHeader = step.variableHeader - (bankCount(step) - bankCount(changed));
  if (variableHeader >= 0 && variableHeader !== step.variableHeader) {
    yield withCall(value, index, () => ({ ...changed, variableHeader }));
  }
}

function bankCount(step: CallStep): number {
  return step.do === 'send-ipi' ? 0 : banksOf(step).length;
}

/** Of the targets in each bank the first one. */
function lowestOfBanks(targets: readonly number[]): number[] {
  const bank = (vp: number): number => Math.floor(vp / vpsPerBank);
  return targets.filter((vp, place) => place === 0 || bank(targets[place - 1]!) !== bank(vp));
}

/** Banks that are given, ascending. */
function banksOf({ targets, emptyBanks }: SendIpiExStep): number[] {
  return ascending([...emptyBanks, ...targets.map((vp) => Math.floor(vp / vpsPerBank))]);
}

/** Members of lists become smaller, numbers of control word bits larger; nothing is said about who has these VP indexes. */
function* smallerMembers(value: Case): Generator<Case> {
  for (const [index, step] of callsOf(value)) {
    for (const name of listFields) {
      const list = (step as Partial<SendIpiExStep>)[name] ?? [];
      for (const member of list) {
        for (const other of between(BigInt(member), name === 'controlBits' ? 63n : 0n)) {
          const changed = ascending(list.map((one) => (one === member ? Number(other) : one)));
          if (changed.length === list.length) yield withCall(value, index, (call) => ({ ...call, [name]: changed }));
        }
      }
    }
    yield* samebank(value, index, step);
  }
}

/** An empty bank and the flip of its mask bit move together. */
function* samebank(value: Case, index: number, step: CallStep): Generator<Case> {
  if (step.do !== 'send-ipi-ex') return;
  for (const bank of step.emptyBanks.filter((one) => step.maskFlips.includes(one))) {
    for (const other of between(BigInt(bank), 0n)) {
      const move = (banks: readonly number[]): number[] =>
        ascending(banks.map((one) => (one === bank ? Number(other) : one)));
      yield withCall(value, index, () => ({
        ...step,
        emptyBanks: move(step.emptyBanks),
        maskFlips: move(step.maskFlips),
      }));
    }
  }
}

/** What stands in one field stands in a plainer one: banks without targets, padding. */
function* plainerPlaces(value: Case): Generator<Case> {
  for (const [index, step] of callsOf(value)) {
    if (step.targetVtl !== 0) yield withCall(value, index, (call) => ({ ...call, targetVtl: 0, padding: 1 }));
    // Where Xen hypercalls are intercepted, the page marks the call in bit 31 of EAX: to a 32-bit caller that is the control
    // word, where the bit is reserved (patch_hypercall in hyperv.c).
    if (step.page !== null && value.machine.xen !== false) {
      const bare = withCall(value, index, (call) => ({ ...call, page: null, mode: 'long', controlBits: [63] }));
      yield { ...bare, machine: { ...bare.machine, xen: false } };
    }
    if (step.do !== 'send-ipi-ex') continue;
    yield* plainerSets(value, index, step);
  }
}

/** The same banks said in a plainer way: by targets alone, by empty banks alone, without contradiction. */
function* plainerSets(value: Case, index: number, step: SendIpiExStep): Generator<Case> {
  const banks = banksOf(step);
  const change = (set: Partial<SendIpiExStep>): Case => withCall(value, index, () => ({ ...step, ...set }));
  if (step.maskFlips.length > 0) {
    // Slot by slot, what the mask with its flips makes of the banks that are given.
    const masked = ascending([...banks, ...step.maskFlips]).filter(
      (bank) => banks.includes(bank) !== step.maskFlips.includes(bank),
    );
    const moved = (bank: number): number => masked[banks.indexOf(bank)] ?? bank;
    const targets = step.targets.map((vp) => moved(Math.floor(vp / vpsPerBank)) * vpsPerBank + (vp % vpsPerBank));
    yield change({ targets: ascending(targets), emptyBanks: ascending(step.emptyBanks.map(moved)), maskFlips: [] });
    yield change({ maskFlips: [], variableHeader: banks.length + 1 });
    // What the mask with its flips names, said without them.
    yield change({ targets: [], emptyBanks: masked, maskFlips: [], variableHeader: null });
  }
  // A header that disagrees does so without banks as well.
  const disagrees = step.variableHeader !== null || step.maskFlips.length > 0;
  if (disagrees) yield change({ targets: [], emptyBanks: [], maskFlips: [], variableHeader: 1 });
  const firsts = step.emptyBanks.map((bank) => bank * vpsPerBank);
  yield change({ targets: ascending([...step.targets, ...firsts]), emptyBanks: [] });
  yield change({ targets: [], emptyBanks: banks });
  yield change({ targets: [], emptyBanks: banks.map((_, slot) => slot) });
  for (const bank of banks) {
    const targets = step.targets.filter((vp) => Math.floor(vp / vpsPerBank) !== bank);
    yield change({ targets, emptyBanks: ascending([...step.emptyBanks, bank]) });
  }
}

function* smallerNumbers(value: Case): Generator<Case> {
  for (const [index, step] of callsOf(value)) {
    for (const name of ['cpl', 'targetVtl', 'padding', 'variableHeader', 'repCount', 'repStart'] as const) {
      for (const other of between(BigInt(step[name] ?? 0), 0n)) {
        yield withCall(value, index, (call) => ({ ...call, [name]: Number(other) }));
      }
    }
    for (const other of between(step.outputGpa, 0n))
      yield withCall(value, index, (call) => ({ ...call, outputGpa: other }));
    const odd = oddFields(step);
    if (odd.includes('rax')) {
      for (const rax of [xenHypervBit, ...between(step.rax, 0n)])
        yield withCall(value, index, (call) => ({ ...call, rax }));
    }
    if (odd.includes('tail')) {
      for (const tail of between(step.tail, 0n)) yield withCall(value, index, (call) => ({ ...call, tail }));
    }
    for (const parts of plainerEnvironments(step)) yield withCall(value, index, (call) => ({ ...call, ...parts }));
    if (step.do !== 'send-ipi-ex') continue;
    for (const format of between(step.format, 0n)) {
      yield withCall(value, index, (call) => ({ ...call, format }) as SendIpiExStep);
    }
  }
}

export const fieldPasses: readonly Pass[] = [
  fewerFields,
  plainCall,
  fewerBits,
  ...vectorPasses,
  plainerPlaces,
  smallerMembers,
  plainerAddresses,
  smallerNumbers,
];
