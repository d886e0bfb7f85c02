/** An explanation as text for a terminal of 100 columns. */
import type { VcpuSetup } from '../../src/case/case.ts';
import { formatList } from '../../src/case/cpulist.ts';
import { describeNeighbour } from '../../src/case/neighbour.ts';
import { groupVcpus, nameVcpus, shortList } from '../../src/case/vcpus/vcpu-groups.ts';
import type {
  ExplainedCall,
  ExplainedChange,
  ExplainedEffect,
  ExplainedField,
  ExplainedRule,
  ExplainedTlfs,
  Explanation,
} from './explain.ts';
import { type KvmFault, nameFault } from '../kvm-faults.ts';
import { defaultVmmAnswer } from '../../src/case/machine.ts';
import { formatHex } from '../names.ts';

export const explanationColumns = 100;

/** Renders an explanation; lines end with a newline. */
export function formatExplanation(explanation: Explanation): string {
  const { kernelRelease, contract, machine, vcpus, steps } = explanation;
  const limits = `VP indexes below ${contract.vpIndexLimit}, at most ${contract.bankReadMax} banks read`;
  const lines = [
    `contract kvm, kernel ${kernelRelease}: ${limits}`,
    `  irqchip ${machine.irqchip}, GUEST_OS_ID ${formatHex(machine.guestOsId)}${xenText(machine.xen)}`,
    ...(machine.vmmAnswer === defaultVmmAnswer ? [] : [`  the VMM answers ${formatHex(machine.vmmAnswer)}`]),
    ...(machine.neighbour === null ? [] : [`  ${describeNeighbour(machine.neighbour)}`]),
    ...vcpuLines(vcpus),
    ...steps.flatMap((step, index) => [
      '',
      ...(step.kind === 'call' ? callLines(step, index) : changeLines(step, index)),
    ]),
  ];
  return `${lines.flatMap(wrap).join('\n')}\n`;
}

function xenText(xen: Explanation['machine']['xen']): string {
  if (xen === false) return '';
  return `, Xen hypercalls intercepted${xen === 'flag' ? ' by flag alone' : ''}`;
}

/** Each vCPU, or all that are alike, in a line. */
function vcpuLines(vcpus: Explanation['vcpus']): string[] {
  const texts = vcpus.map(({ vpIndex, setup }) => {
    const refused = setup.vpIndex === vpIndex ? '' : ` (KVM does not take ${setup.vpIndex})`;
    return `${refused}, APIC ${setup.apic}, ${setup.idle}${cpuidText(setup)}`;
  });
  return groupVcpus(vcpus.length, (position) => texts[position]!).map((positions) => {
    const vpIndexes = positions.map((position) => vcpus[position]!.vpIndex);
    const names =
      positions.length === 1
        ? `vCPU ${positions[0]}: VP index ${vpIndexes[0]}`
        : `${positions.length} vCPUs: ${shortList(positions)}: VP indexes ${shortList(vpIndexes)}`;
    return `  ${names}${texts[positions[0]!]!}`;
  });
}

function callLines(call: ExplainedCall, index: number): string[] {
  return [
    `step ${index + 1}: hypercall by vCPU ${call.sender}`,
    ...(call.entry === '' ? [] : [`  made in ${call.entry}`]),
    `  control word ${formatHex(call.controlWord, 16)}`,
    ...fieldLines(call.control),
    `  input (${call.inputPlace})${call.input === null ? ': not read' : ''}`,
    ...fieldLines(call.input ?? []),
    ...bankLines(call),
    '  rules',
    ...call.rules.flatMap((rule) => ruleLines(rule, call.answer)),
    `  result ${call.answer}`,
    ...call.faults.flatMap(faultLines),
    ...effectLines(call.effects, '  nothing is delivered'),
    ...tlfsLines(call.tlfs),
  ];
}

function changeLines({ what, rule, faults, effects }: ExplainedChange, index: number): string[] {
  const decision =
    rule === null ? [] : [`    > ${rule.name}: ${rule.taken ? 'taken' : 'refused'}`, `        ${rule.source}`];
  const told = effects.length === 0 ? [] : effectLines(effects, '');
  return [`step ${index + 1}: ${what}`, ...decision, ...faults.flatMap(faultLines), ...told];
}

/** What is special about a vCPU's CPUID. */
function cpuidText({ lacks, enforced }: VcpuSetup): string {
  return `${lacks.length === 0 ? '' : `, CPUID lacks ${lacks.join(' ')}`}${enforced ? ', CPUID enforced' : ''}`;
}

function fieldLines(fields: readonly ExplainedField[]): string[] {
  return fields.map(({ name, range, value, meaning }) =>
    `    ${name.padEnd(19)} ${range.padEnd(8)} ${formatHex(value).padEnd(18)} ${meaning}`.trimEnd(),
  );
}

function bankLines(call: ExplainedCall): string[] {
  if (call.banks.length === 0) return [];
  const lines = call.banks.map(({ bank, slot, contents, vpIndexes }) => {
    const place = `    bank ${bank} in slot ${slot}:`;
    if (contents === null || vpIndexes === null) return `${place} not read`;
    const named = vpIndexes.length === 0 ? 'names no VP' : `VPs ${formatList(vpIndexes)}`;
    return `${place} ${formatHex(contents, 16)} ${named}`;
  });
  const { absentVpIndexes: absent } = call;
  const ignored = absent.length === 0 ? [] : [`    no vCPU has VP index ${formatList(absent)}: ignored`];
  return ['  VP set', ...lines, ...ignored];
}

function ruleLines({ name, source, role }: ExplainedRule, answer: string): string[] {
  if (role !== 'decides') return [`      ${name.padEnd(30)} ${role}`];
  return [`    > ${name.padEnd(30)} decides: ${answer}`, `        ${source}`];
}

/** KVM does not do here what it means to do; the model predicts what it does. */
function faultLines(fault: KvmFault): string[] {
  const { does, means, source, releases } = fault;
  return [`  ${nameFault(fault)}`, `    does  ${does}`, `    means to ${means}`, `    in ${source}, ${releases}`];
}

/** Both contracts side by side. */
function tlfsLines({ rules, permitted, kvm, verdict }: ExplainedTlfs): string[] {
  return [
    '  contract tlfs',
    ...rules.flatMap(({ name, source, certainty }) => [`    > ${name.padEnd(30)} ${certainty}`, `        ${source}`]),
    `    permits ${permitted}`,
    `    kvm     ${kvm}`,
    `    verdict ${verdict}`,
  ];
}

function effectLines(effects: readonly ExplainedEffect[], none: string): string[] {
  if (effects.length === 0) return [none];
  return groupVcpus(effects.length, (place) => effects[place]!.text).map((places) => {
    const vpIndexes: number[] = [];
    for (const place of places) vpIndexes[effects[place]!.vcpu] = effects[place]!.vpIndex;
    const positions = places.map((place) => effects[place]!.vcpu);
    return `  ${nameVcpus(positions, vpIndexes)}: ${effects[places[0]!]!.text}`;
  });
}

/** Breaks a line at spaces or commas; what follows is indented two columns further than the line. */
function wrap(line: string): string[] {
  const lines: string[] = [];
  const indent = ' '.repeat(/^ */.exec(line)![0].length + 2);
  let rest = line;
  while (rest.length > explanationColumns) {
    const head = rest.slice(0, explanationColumns);
    const breakAt = Math.max(head.lastIndexOf(' '), head.lastIndexOf(',') + 1);
    const at = breakAt > indent.length ? breakAt : explanationColumns;
    lines.push(rest.slice(0, at).trimEnd());
    rest = indent + rest.slice(at).trimStart();
  }
  return [...lines, rest];
}
