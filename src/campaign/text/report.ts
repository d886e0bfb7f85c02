/** Results as text for a terminal and as the JSON value of `--json`. Pure: results in, text or value out. */
import { deviations } from '../../../oracle/tlfs/deviations.ts';
import { kvmRules } from '../../../oracle/call/rules.ts';
import { formatDone, formatPermitted, tlfsSourceOf } from '../../../oracle/tlfs/tlfs-text.ts';
import { formatCase } from '../../case/case.ts';
import { shortList } from '../../case/vcpus/vcpu-groups.ts';
import type { CampaignResult } from '../campaign-terms.ts';
import { type DeviationGroup, deviationToJson } from '../deviation-log.ts';
import { type Finding, findingToJson } from '../findings/finding.ts';
import type { ContractName } from '../judgement.ts';
import { rounded } from '../findings/pursuit.ts';
import { describeStep, formatMachine, formatStages } from './stages.ts';
import { formatCount } from './table.ts';

export const fuzzSchemaName = 'hvipi/fuzz/1';

/** What the command line adds to a campaign's result. */
export interface ReportContext {
  readonly contract: ContractName;
  readonly seed: string;
  readonly fromBatch: number;
  /** The target as `--target` names it. */
  readonly target: string;
  readonly kernel: string | null;
  /** The command that goes on where the campaign ended. */
  readonly resume: string;
  readonly exitCode: number;
}

/** The value of `fuzz --json`. */
export function campaignToJson(result: CampaignResult, context: ReportContext): object {
  const { tally, facts } = result;
  return {
    schema: fuzzSchemaName,
    target: { ...facts, name: context.target, kernel: context.kernel },
    contract: context.contract,
    seed: context.seed,
    fromBatch: context.fromBatch,
    nextBatch: result.nextBatch,
    cases: tally.cases,
    corpusCases: tally.corpusCases,
    hypercalls: tally.hypercalls,
    tiers: { ...tally.byTier },
    seconds: rounded(result.seconds),
    bootSeconds: rounded(result.bootSeconds),
    rules: { hit: [...tally.rulesHit].sort(), total: tally.rules.length },
    coverage: { pairs: tally.coverage.pairs, unmet: tally.coverage.unmetValues, rules: tally.coverage.toJson() },
    spaces: Object.fromEntries(tally.points),
    streamHash: tally.streamHash,
    restarts: result.restarts,
    repeats: tally.repeats,
    kvmFaults: Object.fromEntries(tally.kvmFaults),
    ending: result.ending,
    error: result.error,
    findings: result.findings.map(findingToJson),
    deviations: result.deviations.map(deviationToJson),
    resume: context.resume,
    exitCode: context.exitCode,
  };
}

const endings: Record<CampaignResult['ending'], string> = {
  budget: 'the budget is used up',
  finding: 'stopped at the first finding (--keep-going goes on)',
  interrupted: 'interrupted',
  infrastructure: 'the target failed',
};

/** The summary that ends `fuzz`. */
export function formatSummary(result: CampaignResult, context: ReportContext): string {
  const { tally, facts, findings } = result;
  const rate = result.seconds > 0 ? tally.hypercalls / result.seconds : 0;
  const stable = findings.filter((finding) => finding.stable).length;
  const unstable = findings.length - stable;
  const missed = tally.rules.filter((name) => !tally.rulesHit.includes(name));
  const unmet = tally.coverage.unmetValues;
  const lines = [
    `target     ${context.target}, kernel ${facts.kernelRelease}${facts.kvmOptions === '' ? '' : ` with ${facts.kvmOptions}`}, cpu ${facts.cpu}, booted in ${result.bootSeconds.toFixed(1)} s`,
    `seed       ${context.seed}`,
    `cases      ${formatCount(tally.cases)}, ${formatCount(tally.corpusCases)} of them from the corpus`,
    `hypercalls ${formatCount(tally.hypercalls)} in ${result.seconds.toFixed(1)} s, ${formatCount(rate)}/s`,
    `tiers      ${Object.entries(tally.byTier)
      .map(([tier, calls]) => `${tier} ${formatCount(calls)}`)
      .join(', ')}`,
    `rules      ${tally.rulesHit.length}/${tally.rules.length}${missed.length === 0 ? '' : `; not met: ${missed.join(', ')}`}`,
    `pairs      ${formatCount(tally.coverage.pairs)} of rule and circumstance${unmet.length === 0 ? '' : `; never ${unmet.join(', ')}`}`,
    ...[...tally.points].map(([name, points]) => `space      ${name}, ${formatCount(points)} points`),
    `stream     ${tally.streamHash}`,
    ...(result.restarts === 0 ? [] : [`restarts   ${result.restarts}`]),
    ...(tally.repeats === 0 ? [] : [`repeats    ${formatCount(tally.repeats)} cases showed a known problem again`]),
    ...[...tally.kvmFaults].map(
      ([name, count]) =>
        `known      ${formatCount(count)} hypercalls showed KVM's own fault ${name} (docs/findings/${name}.md)`,
    ),
    ...(context.contract === 'tlfs' ? deviationLines(result.deviations) : []),
    `findings   ${stable}${unstable === 0 ? '' : `, and ${unstable} that did not show again`}`,
    `ended      ${endings[result.ending]}${result.error === null ? '' : `: ${result.error}`}`,
    `go on      ${context.resume}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** What each listed deviation that was met came to; which listed ones were not met says nothing about the kernel. */
function deviationLines(groups: readonly DeviationGroup[]): string[] {
  const missed = deviations.filter((deviation) => groups.every((group) => group.deviation !== deviation));
  return [
    `deviations ${groups.length} of ${deviations.length} that are listed`,
    ...groups.flatMap(({ deviation, hypercalls, foundAfter, confirmed, ...group }) => {
      const vpIndexes = group.case.machine.vcpus.map(({ vpIndex }) => vpIndex);
      const machine = vpIndexes.length > 8 ? shortList(vpIndexes) : vpIndexes.join(' ');
      return [
        `  ${deviation.name} (${deviation.id}): ${formatCount(hypercalls)} hypercalls, first after ${formatCount(foundAfter.cases)} cases, ${foundAfter.seconds.toFixed(1)} s; confirmed ${confirmed}`,
        `    smallest   VP indexes ${machine}; ${group.case.steps.map(describeStep).join('; ')}`,
        `    TLFS       ${formatPermitted(group.shown.permitted)}`,
        `    KVM        ${formatDone(group.shown.done)}`,
      ];
    }),
    ...(missed.length === 0 ? [] : [`  not met: ${missed.map(({ name }) => name).join(', ')}`]),
  ];
}

/** In a machine of many vCPUs each of them may differ in the same way. */
const differencesMax = 64;

/** A finding whole: what, why, the case, expected against observed, and how to see it again. */
export function formatFindingReport(finding: Finding): string {
  const { foundAfter, shrink, target } = finding;
  const lines = [
    `FINDING ${finding.id}: ${finding.class} ${finding.signature}`,
    ...ruleLines(finding),
    `found     after ${formatCount(foundAfter.cases)} cases, ${formatCount(foundAfter.hypercalls)} hypercalls, ${foundAfter.seconds.toFixed(1)} s on kernel ${target.kernelRelease}`,
    `from      seed ${finding.seed}, path ${finding.path}`,
    finding.stable
      ? `shrunk    in ${shrink.seconds.toFixed(1)} s with ${formatCount(shrink.executions)} executions; confirmed ${finding.confirmed}`
      : `unstable  seen once in a batch of ${finding.batch.length} cases; the case alone did not show it`,
    ...finding.met.map(({ signature }) => `also met  ${signature}, while shrinking`),
  ];
  const failed = finding.observed === null ? `console\n${indented(finding.console ?? '')}\n` : '';
  const others = finding.differences
    .slice(0, differencesMax)
    .map(({ what, expected, observed, step, vcpu }) => {
      const place = [step === null ? '' : `step ${step + 1}`, vcpu === null ? '' : `vCPU ${vcpu}`].filter(Boolean);
      return `  ${[...place, what].join(', ')}: expected ${expected}, observed ${observed}\n`;
    })
    .join('');
  const rest = finding.differences.length - differencesMax;
  return [
    `${lines.join('\n')}\n`,
    `case\n${indented(formatCase(finding.case).trimEnd())}\n`,
    `machine\n${formatMachine(finding.case)}`,
    formatStages(finding.case, finding.expected, finding.observed),
    others === '' ? '' : `differences\n${others}`,
    rest <= 0 ? '' : `  and ${formatCount(rest)} more\n`,
    failed,
    `replay    ${finding.replay}\n`,
  ].join('');
}

/** The rule that decided, and whose word it is; a kernel's failure and the machine's set-up have none. */
function ruleLines({ signature }: Finding): string[] {
  const [name = ''] = signature.split('/');
  const source = kvmRules.find((rule) => rule.name === name)?.source ?? tlfsSourceOf(name);
  return source === null ? [] : [`rule      ${name}: ${source}`];
}

function indented(text: string): string {
  return text
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n');
}
