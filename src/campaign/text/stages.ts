/**
 * A case stage by stage: for each step what was done, and what was expected against what was observed, per vCPU.
 * Only text; the values come from `view.ts`.
 */
import { type Case, type Step, type VcpuSetup, vcpuToJson } from '../../case/case.ts';
import { groupVcpus, nameVcpus, shortList } from '../../case/vcpus/vcpu-groups.ts';
import { formatTable } from './table.ts';
import { countArrivals, type RunView, type StepView, type VcpuView } from './view.ts';
import { defaultGuestOsId, defaultVmmAnswer } from '../../case/machine.ts';
import { describeNeighbour } from '../../case/neighbour.ts';
import { isCall, kindOf } from '../../case/steps/kinds.ts';

/** Marks a row in which observed is not expected. */
const mark = '<--';

/** Fields of a vCPU that have a column of their own. */
const shownFields: ReadonlySet<string> = new Set(['vpIndex', 'apic', 'eoi', 'idle']);

/** What is special about the VM, and each vCPU, or all that are alike, in a line. */
export function formatMachine(value: Case): string {
  const special = oddMachineWords(value);
  const { vcpus } = value.machine;
  const cells = vcpus.map((vcpu) => [
    `apic ${vcpu.apic}`,
    `eoi ${vcpu.eoi}`,
    vcpu.idle,
    oddVcpuWords(vcpu, shownFields).join('  '),
  ]);
  const rows = groupVcpus(vcpus.length, (position) => cells[position]!.join()).map((positions) => {
    const [first] = positions as [number];
    const vpIndexes = positions.map((position) => vcpus[position]!.vpIndex);
    const names =
      positions.length === 1
        ? [`vCPU ${first}`, `VP ${vpIndexes[0]}`]
        : [`${positions.length} vCPUs: ${shortList(positions)}`, `VP ${shortList(vpIndexes)}`];
    return [...names, ...cells[first]!];
  });
  return `${special.length === 0 ? '' : `  ${special.join(', ')}\n`}${formatTable(rows, '  ')}`;
}

/** What is special about the VM. */
export function oddMachineWords({
  machine: { irqchip, xen, guestOsId, schedule, neighbour, vmmAnswer },
}: Case): string[] {
  return [
    ...(irqchip === 'kernel' ? [] : [`irqchip ${irqchip}`]),
    ...(xen === false ? [] : [`Xen hypercalls intercepted${xen === 'flag' ? ' by flag alone' : ''}`]),
    ...(schedule === null ? [] : [`concurrent, schedule ${schedule}`]),
    ...(guestOsId === defaultGuestOsId ? [] : [`GUEST_OS_ID 0x${guestOsId.toString(16)}`]),
    ...(vmmAnswer === defaultVmmAnswer ? [] : [`the VMM answers 0x${vmmAnswer.toString(16)}`]),
    ...(neighbour === null ? [] : [describeNeighbour(neighbour)]),
  ];
}

/** What is special about a vCPU, by the fields of the case. */
export function oddVcpuWords(vcpu: VcpuSetup, without: ReadonlySet<string> = new Set(['vpIndex'])): string[] {
  return Object.entries(vcpuToJson(vcpu))
    .filter(([name]) => !without.has(name))
    .map(([name, field]) => `${name} ${String(field)}`);
}

/** All steps of a case with a table each. */
export function formatStages(value: Case, expected: RunView, observed: RunView | null): string {
  const totals = { expected: value.machine.vcpus.map(() => 0), observed: value.machine.vcpus.map(() => 0) };
  let text = '';
  for (const [index, step] of value.steps.entries()) {
    const seen = observed?.steps[index] ?? null;
    addArrivals(totals.expected, expected.steps[index]!);
    if (seen !== null) addArrivals(totals.observed, seen);
    const note = step.note === '' ? '' : `: ${step.note}`;
    text += `step ${index + 1} of ${value.steps.length}${note}\n  ${describeStep(step)}\n`;
    const rows = [['', 'expected', 'observed', ''], ...stepRows(value, step, expected.steps[index]!, seen, totals)];
    text += formatTable(rows, '  ');
    for (const line of seen?.leftovers ?? []) text += `  ${line}\n`;
  }
  return text + formatRest(value, expected, observed);
}

/** A step in words. */
export function describeStep(step: Step): string {
  return kindOf(step).describe(step);
}

function addArrivals(totals: number[], { vcpus }: StepView): void {
  for (const [vcpu, view] of vcpus.entries()) totals[vcpu] = (totals[vcpu] ?? 0) + countArrivals(view);
}

function stepRows(
  { machine: { vcpus } }: Case,
  step: Step,
  expected: StepView,
  observed: StepView | null,
  totals: { expected: readonly number[]; observed: readonly number[] },
): string[][] {
  const rows: string[][] = [];
  const rule = expected.rule === null || expected.rule === 'run' ? '' : ` (${expected.rule})`;
  if (expected.result !== null || expected.exception !== null || expected.exit !== null || observed?.result != null) {
    // Only a call that KVM takes for a Hyper-V one has a status.
    const hasStatus = isCall(step) && expected.rule?.startsWith('native-') !== true;
    const what = hasStatus ? 'status' : (kindOf(step).result ?? 'RAX');
    const seen = observed === null ? 'not run' : formatResult(observed, hasStatus);
    rows.push(row(what, formatResult(expected, hasStatus), seen, rule));
  }
  rows.push(...changeRows('register', expected.registers, observed?.registers ?? expected.registers));
  const cells = vcpus.map(({ idle }, position): [expected: string, observed: string, mark: string] => {
    const isHalted = idle === 'halted';
    const seen = observed?.vcpus[position];
    const total = { expected: totals.expected[position]!, observed: totals.observed[position]! };
    const known = expected.vcpus[position]!;
    const wanted = formatVcpu(known, total.expected, isHalted);
    if (seen === undefined) return [wanted, 'not run', mark];
    const cell = formatVcpu(seen, total.observed, isHalted);
    // A LAPIC that was not read after this step is compared at the end.
    const comparable = seen.lapic === null ? formatVcpu({ ...known, lapic: null }, total.expected, isHalted) : wanted;
    return [wanted, cell, comparable === cell ? '' : mark];
  });
  const vpIndexes = vcpus.map(({ vpIndex }) => vpIndex);
  const groups = groupVcpus(vcpus.length, (position) => cells[position]!.join('\n'));
  return [...rows, ...groups.map((positions) => [nameVcpus(positions, vpIndexes), ...cells[positions[0]!]!])];
}

/** What holds for the program as a whole: VP indexes, the LAPICs at the end, memory, an early end. */
function formatRest(value: Case, expected: RunView, observed: RunView | null): string {
  if (observed === null) return '';
  const rows: string[][] = [];
  for (const [position, vpIndex] of expected.vpIndexes.entries()) {
    const seen = observed.vpIndexes[position];
    if (seen !== vpIndex) rows.push(row(`VP index of vCPU ${position}`, `${vpIndex}`, `${seen}`));
  }
  const hasLapics = observed.steps.at(-1)?.vcpus.every(({ lapic }) => lapic !== null) ?? false;
  if (!hasLapics) {
    const cells = expected.lapics.map((lapic, position) => [lapic, observed.lapics[position] ?? '-'] as const);
    for (const positions of groupVcpus(cells.length, (position) => cells[position]!.join('\n'))) {
      const what = positions.length === 1 ? `vCPU ${positions[0]}` : nameVcpus(positions, []);
      rows.push(row(`LAPIC of ${what}`, ...cells[positions[0]!]!));
    }
  }
  rows.push(...changeRows('memory', expected.memory, observed.memory));
  if (observed.stopped !== null) {
    rows.push(
      row('program', `${value.steps.length} steps`, `stopped after ${observed.steps.length}: ${observed.stopped}`),
    );
  }
  return rows.length === 0 ? '' : `at the end\n${formatTable([['', 'expected', 'observed', ''], ...rows], '  ')}`;
}

/** A row for everything that was to change or did. */
function changeRows(what: string, expected: readonly string[], observed: readonly string[]): string[][] {
  return [...new Set([...expected, ...observed])].map((change) => {
    const side = (list: readonly string[]) => (list.includes(change) ? change : 'unchanged');
    return row(what, side(expected), side(observed));
  });
}

function row(what: string, expected: string, observed: string, remark = ''): string[] {
  return [what, `${expected}${remark}`, observed, expected === observed ? '' : mark];
}

function formatResult({ result, status, exception, exit }: StepView, hasStatus: boolean): string {
  if (exception !== null) return exception;
  const left = exit === null ? '' : `exit ${exit}, `;
  if (result === null) return exit ?? '-';
  return !hasStatus || status === result ? `${left}${result}` : `${left}${result} ${status}`;
}

/** `handlers 3 so far, now 0xfe; IRR 0x30`. A halted vCPU takes what comes, so that none ran yet is worth a word. */
function formatVcpu({ arrivals, lapic }: VcpuView, total: number, isHalted: boolean): string {
  const now = arrivals === '-' ? '' : `, now ${arrivals}`;
  const handlers = total === 0 && !isHalted ? [] : [`handlers ${total} so far${now}`];
  const state = lapic === null ? ['LAPIC not read'] : lapic === '-' ? [] : [lapic];
  return [...handlers, ...state].join('; ') || '-';
}
