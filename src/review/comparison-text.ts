/** A comparison as text: each group with its smallest case, both kernels side by side, next to their contracts. */
import { formatPermitted } from '../../oracle/tlfs/tlfs-text.ts';
import { prepare } from '../campaign/judgement.ts';
import { groupVcpus, nameVcpus, shortList } from '../case/vcpu-groups.ts';
import { describeStep, oddMachineWords, oddVcpuWords } from '../campaign/text/stages.ts';
import { formatCount, formatTable } from '../campaign/text/table.ts';
import { type StepView, viewObservation, viewOutcome } from '../campaign/text/view.ts';
import type { Group } from './compare.ts';
import { causeSource } from './contract-cause.ts';
import { describeFate, type GroupKind, guestDifferences, type Pair, type Seen } from './difference.ts';
import { statusOf } from './guest-difference.ts';
import { isCall } from '../case/steps/kinds.ts';

const headlines: Record<GroupKind, string> = {
  new: 'NEW: only the second kernel leaves its contract',
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

/** A group whole. */
export function formatGroup(group: Group, names: Names): string {
  const { kind, key, cases, path, confirmed } = group;
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
  const vcpus = groupVcpus(setups.length, (position) => oddities[position]!).map((positions) => {
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
    .filter(({ step }) => step === null)
    .map(({ vcpu, what, base, kernel }) => {
      const place = vcpu === null ? what : `${what} of vCPU ${vcpu}`;
      return wrapped(`${place}: `, [`${names.base} ${base}`, `${names.kernel} ${kernel}`]);
    });
  return `${wrapped('machine: ', [...oddMachineWords(value), ...vcpus])}${steps.join('')}${rest.join('')}`;
}

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
  const rows: RowsOf = (what, contract, read) => {
    const texts = seen.map((step, side) => (step === null ? fateOf(sidesOf(pair)[side]!) : read(step)));
    const contracts = expected.map(contract);
    const readings: Reading[] = [
      ...(contracts[0] === contracts[1]
        ? [['contract', contracts[1]!] as const]
        : [
            [`contract of ${names.base}`, contracts[0]!] as const,
            [`contract of ${names.kernel}`, contracts[1]!] as const,
          ]),
      [names.base, texts[0]!],
      [names.kernel, texts[1]!],
    ];
    return readingRows(what, readings, texts[0] !== texts[1]);
  };
  const { vcpus: setups } = pair.base.prepared.value.machine;
  const vpIndexes = setups.map(({ vpIndex }) => vpIndex);
  const textOf = (vcpu: number): string =>
    [...expected, ...seen].map((step) => (step === null ? '' : vcpuText(step, vcpu))).join('\n');
  const vcpus = groupVcpus(setups.length, textOf).flatMap((positions) => {
    const vcpu = positions[0]!;
    const cell = (step: StepView): string => vcpuText(step, vcpu);
    // A LAPIC that was not read after this step is compared at the end.
    const wasRead = seen.every((step) => step === null || step.vcpus[vcpu]?.lapic !== null);
    const contract = (step: StepView): string => (wasRead ? cell(step) : arrivalsText(step, vcpu));
    return rows(nameVcpus(positions, vpIndexes), contract, cell);
  });
  const changed = ({ registers }: StepView): string => registers.join('; ') || 'unchanged';
  const registers = [...expected, ...seen].some((step) => step !== null && step.registers.length > 0)
    ? rows('registers', changed, changed)
    : [];
  return [...answerRows(pair, index, rows), ...registers, ...vcpus];
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
  if (isDifferent) rows.at(-1)!.push('<--');
  return rows;
}

function fateOf(seen: Seen): string {
  return seen.observation === null ? describeFate(seen) : 'not run';
}

function vcpuText(step: StepView, vcpu: number): string {
  const lapic = step.vcpus[vcpu]?.lapic ?? '-';
  const handlers = arrivalsText(step, vcpu);
  return [handlers, lapic].filter((text) => text !== '-').join('; ') || '-';
}

function arrivalsText(step: StepView, vcpu: number): string {
  const arrivals = step.vcpus[vcpu]?.arrivals ?? '-';
  return arrivals === '-' ? '-' : `handlers ${arrivals}`;
}

/** What TLFS permits for the call; a `run` step has none. */
function tlfsLine({ kernel: { prepared, facts } }: Pair, index: number): string {
  const judged = prepare(prepared.value, facts, 'tlfs').tlfs?.find(({ step }) => step === index);
  return judged === undefined ? '' : `    TLFS permits ${formatPermitted(judged.permitted)}\n`;
}
