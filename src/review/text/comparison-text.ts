/** A comparison as text: each group with its smallest case, both kernels side by side, next to their contracts. */
import { formatPermitted } from '../../../oracle/tlfs/tlfs-text.ts';
import { prepare } from '../../campaign/judgement.ts';
import { groupVcpus, nameVcpus, shortList } from '../../case/vcpus/vcpu-groups.ts';
import { describeStep, oddMachineWords, oddVcpuWords } from '../../campaign/text/stages.ts';
import { formatCount, formatTable } from '../../campaign/text/table.ts';
import { type StepView, viewObservation, viewOutcome } from '../../campaign/text/view.ts';
import type { Group } from '../compare.ts';
import { causeSource } from '../contract-cause.ts';
import { describeFate, type GroupKind, guestDifferences, kernelFate, type Pair, type Seen } from '../difference.ts';
import { statusOf } from '../guest-difference.ts';
import { isCall } from '../../case/steps/kinds.ts';

/** Marks what differs. */
const mark = '<--';

const headlines: Record<GroupKind, string> = {
  new: 'NEW: only the second kernel leaves its contract',
  makes: 'MAKES: the second kernel has a listed deviation from TLFS that the first one does not have',
  mends: 'MENDS: the first kernel has a listed deviation from TLFS that the second one does not have',
  gone: 'GONE: only the first kernel leaves its contract',
  changed: 'CHANGED: both kernels leave their contracts, each in its own way',
  contract: 'CONTRACT: the kernels differ, and each does what its own contract says',
  same: 'SAME: both kernels leave the contract alike; the guest sees no difference',
};

/** What the two kernels are called in tables. */
export interface Names {
  readonly base: string;
  readonly kernel: string;
}

/** A group whole; one that does not repeat alone in few words, since its case shows nothing to who tries it. */
export function formatGroup(group: Group, names: Names): string {
  const { kind, key, cases, path, confirmed } = group;
  if (!group.isRepeatable) return `UNSTABLE: ${key}, first at ${path}; confirmed ${confirmed}\n`;
  const source = causeSource(key);
  const lines = [
    headlines[kind],
    `  ${key}`,
    ...(source === null ? [] : [`  ${source}`]),
    `  ${formatCount(cases)} ${cases === 1 ? 'case' : 'cases'}, first at ${path}; confirmed ${confirmed}`,
  ];
  return `${lines.join('\n')}\n${formatMinimal(group, names)}`;
}

/**
 * The smallest case of a group, step by step: who says or saw what. Narrow enough for a mail: those who agree share a
 * line.
 */
export function formatMinimal({ value, pair }: Pick<Group, 'value' | 'pair'>, names: Names): string {
  const { vcpus: setups } = value.machine;
  const oddities = setups.map((vcpu) => oddVcpuWords(vcpu).join(' '));
  const vcpus = groupVcpus(setups.length, (position) => oddities[position]!, apartMax).map((positions) => {
    const vpIndexes = positions.map((position) => setups[position]!.vpIndex);
    const words = oddities[positions[0]!]!;
    const has =
      positions.length === 1
        ? `vCPU ${positions[0]} has VP index ${vpIndexes[0]}`
        : `${positions.length} vCPUs (${shortList(positions)}) have VP indexes ${shortList(vpIndexes)}`;
    return `${has}${words === '' ? '' : ` (${words})`}`;
  });
  const steps = value.steps.map((step, index) => {
    const rules = [...new Set(sidesOf(pair).map(({ prepared }) => prepared.outcome.steps[index]!.rule))];
    const words = wrapped(`step ${index + 1}: `, describeStep(step).split(', '));
    const rule = !isCall(step) && step.do !== 'write-msr' ? '' : `    rule: ${rules.join(' before, now ')}\n`;
    return `${words}${rule}${formatTable(stepRows(pair, index, names), '    ')}${tlfsLine(pair, index)}`;
  });
  const rest = guestDifferences(pair)
    .filter(({ step, what }) => step === null && what !== kernelFate)
    .map(({ vcpu, what, base, kernel }) => {
      const place = vcpu === null ? what : `${what} of vCPU ${vcpu}`;
      return wrapped(`${place}: `, [`${names.base} ${base}`, `${names.kernel} ${kernel}`]);
    });
  const fates = fateLines(pair, names).join('');
  return `${wrapped('machine: ', [...oddMachineWords(value), ...vcpus])}${steps.join('')}${rest.join('')}${fates}`;
}

/** What became of a kernel that did not survive, once. */
function fateLines(pair: Pair, names: Names): string[] {
  return sidesOf(pair).flatMap((seen, side) => {
    if (seen.observation !== null) return [];
    return [wrapped(`${side === 0 ? names.base : names.kernel}: `, [`${describeFate(seen)}  ${mark}`])];
  });
}

/** Two vCPUs that say the same have a line each. */
const apartMax = 2;
const widthMax = 74;

/** Items with commas between them, on lines that a mail program leaves alone. */
export function wrapped(label: string, items: readonly string[], indent = '  '): string {
  const lines: string[] = [];
  let line = `${indent}${label}`;
  for (const [place, item] of items.entries()) {
    const text = place === items.length - 1 ? item : `${item}, `;
    if (line.trim() !== label.trim() && line.length + text.trimEnd().length > widthMax) {
      lines.push(line.trimEnd());
      line = indent + ' '.repeat(label.length);
    }
    line += text;
  }
  return `${[...lines, line.trimEnd()].join('\n')}\n`;
}

function sidesOf({ base, kernel }: Pair): [Seen, Seen] {
  return [base, kernel];
}

/** A reading of one thing by each who has a word in it: the contracts and the kernels. */
type Reading = readonly [who: string, text: string];

function stepRows(pair: Pair, index: number, names: Names): string[][] {
  const expected = sidesOf(pair).map(({ prepared }) => viewOutcome(prepared.outcome).steps[index]!);
  const seen = sidesOf(pair).map(({ observation }) =>
    observation === null ? null : (viewObservation(observation).steps[index] ?? null),
  );
  const who = [names.base, names.kernel];
  const rows: RowsOf = (what, contract, read) => {
    const contracts = expected.map(contract);
    const told: Reading[] =
      contracts[0] === contracts[1]
        ? [['contract', contracts[1]!]]
        : contracts.map((text, side): Reading => [`contract of ${who[side]!}`, text]);
    // Of a kernel that did not come to this step there is nothing to say.
    const shown = seen.flatMap((step, side): Reading[] => (step === null ? [] : [[who[side]!, read(step)]]));
    const isDifferent = shown.length === 2 && shown[0]![1] !== shown[1]![1];
    return readingRows(what, shortened([...told, ...shown]), isDifferent);
  };
  const { vcpus: setups } = pair.base.prepared.value.machine;
  const vpIndexes = setups.map(({ vpIndex }) => vpIndex);
  const textOf = (vcpu: number): string =>
    [...expected, ...seen].map((step) => (step === null ? '' : vcpuText(step, vcpu))).join('\n');
  const vcpus = groupVcpus(setups.length, textOf, apartMax).flatMap((positions) => {
    const cell = (step: StepView): string => vcpuText(step, positions[0]!);
    return rows(nameVcpus(positions, vpIndexes), cell, cell);
  });
  const changed = ({ registers }: StepView): string => registers.join('; ') || 'unchanged';
  const registers = [...expected, ...seen].some((step) => step !== null && step.registers.length > 0)
    ? rows('registers', changed, changed)
    : [];
  const notRun = seen.flatMap((step, side) => {
    return step === null && sidesOf(pair)[side]!.observation !== null ? [['step', who[side]!, 'not run', mark]] : [];
  });
  return [...answerRows(pair, index, rows), ...registers, ...vcpus, ...notRun];
}

/** What came of the step: the status of a call, and whether KVM took the value of an MSR; other steps have none. */
function answerRows({ base: { prepared } }: Pair, index: number, rows: RowsOf): string[][] {
  const step = prepared.value.steps[index]!;
  if (step.do === 'write-msr') return rows('taken', takenOf, takenOf);
  return isCall(step) ? rows('status', statusOf, statusOf) : [];
}

/** Rows of a thing: what a contract's reading of a step is, and a kernel's. */
type RowsOf = (what: string, contract: (step: StepView) => string, read: (step: StepView) => string) => string[][];

function takenOf({ result }: StepView): string {
  return result === '0x1' ? 'yes' : 'no';
}

/** Those who agree share a row; the last row of a thing in which the kernels differ is marked. */
function readingRows(what: string, readings: readonly Reading[], isDifferent: boolean): string[][] {
  const byText = new Map<string, string[]>();
  for (const [who, text] of readings) byText.set(text, [...(byText.get(text) ?? []), who]);
  const rows = [...byText].map(([text, who], place) => [place === 0 ? what : '', who.join(', '), text]);
  if (isDifferent) rows.at(-1)!.push(mark);
  return rows;
}

/** Longest text in a cell. */
const cellMax = 60;

/** Long texts from where they part on, and cut there again. */
function shortened(readings: readonly Reading[]): Reading[] {
  const words = readings.map(([, text]) => text.split(' '));
  if (readings.every(([, text]) => text.length <= cellMax)) return [...readings];
  const parting = words[0]!.findIndex((word, place) => words.some((other) => other[place] !== word));
  const from = Math.max(0, (parting < 0 ? 0 : parting) - 1);
  return readings.map(([who], side): Reading => {
    const rest = words[side]!.slice(from).join(' ');
    const cut = rest.length <= cellMax ? rest : `${rest.slice(0, rest.lastIndexOf(' ', cellMax))} ...`;
    return [who, from === 0 ? cut : `... ${cut}`];
  });
}

function vcpuText({ vcpus }: StepView, vcpu: number): string {
  const { arrivals, lapic } = vcpus[vcpu] ?? { arrivals: '-', lapic: '-' };
  const handlers = arrivals === '-' ? [] : [`handlers ${arrivals}`];
  // At the end of the program all are read.
  const state = lapic === null ? ['LAPIC not read'] : lapic === '-' ? [] : [lapic];
  return [...handlers, ...state].join('; ') || '-';
}

/** What TLFS permits for the call; a `run` step has none. */
function tlfsLine({ kernel: { prepared, facts } }: Pair, index: number): string {
  const judged = prepare(prepared.value, facts, 'tlfs').tlfs?.find(({ step }) => step === index);
  return judged === undefined ? '' : `    TLFS permits ${formatPermitted(judged.permitted)}\n`;
}
