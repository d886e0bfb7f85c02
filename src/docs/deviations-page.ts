/** `docs/deviations.md` as text, from the list and the minimal cases. Pure, so that a test can compare the file. */
import { modelFacts } from '../model/model-executor.ts';
import { type Deviation, deviations, openPoints } from '../../oracle/tlfs/deviations.ts';
import { formatDone, formatPermitted, tlfsSourceOf } from '../../oracle/tlfs/tlfs-text.ts';
import { prepare } from '../campaign/judgement.ts';
import { describeStep } from '../campaign/text/stages.ts';
import type { Case } from '../case/case.ts';
import type { TargetFacts } from '../executor/facts.ts';

const heading = `# Where KVM leaves TLFS

_For users, and for those who work on KVM._

Written by \`npm run docs\` from \`oracle/tlfs/deviations.ts\`; do not edit.

WEB is TLFS as Microsoft publishes it now, by page and section; PDF6 is version 6.0b, by page. Where they contradict
each other WEB speaks. A deviation needs a TLFS that is certain: where it is unclear, both behaviours are permitted, and
the points are listed at the end.

Each deviation has a minimal case in \`corpus/known/\`. \`hvipi explain FILE\` shows both contracts side by side,
\`hvipi replay FILE --contract tlfs\` runs it, \`hvipi fuzz --contract tlfs\` finds all of them again and reports what is
not listed here. Where KVM does not do what its own source means to do is [another list](findings/README.md).
`;

/** The page; `cases` are the minimal cases by the name of their deviation. */
export function deviationsPage(cases: ReadonlyMap<string, Case>): string {
  const sections = deviations.map((deviation) => sectionOf(deviation, cases.get(deviation.name)));
  const open = openPoints.map(
    ({ id, name, rule, kvm }) => `- ${name}${id === '' ? '' : ` (${id})`}: ${citationOf(rule)}. KVM: ${kvm}.`,
  );
  return `${[heading, ...sections, '## What TLFS leaves open\n', ...open].join('\n')}\n`;
}

/** A KVM that shows the deviation. */
export function factsFor({ kvmMaxVcpus }: Deviation): TargetFacts {
  return { ...modelFacts, kvmMaxVcpus: kvmMaxVcpus ?? modelFacts.kvmMaxVcpus };
}

function sectionOf(deviation: Deviation, minimal: Case | undefined): string {
  const { id, name, input, tlfs, kvm, since } = deviation;
  if (minimal === undefined) throw new Error(`corpus/known/${name}.json is missing`);
  const [judged] = prepare(minimal, factsFor(deviation), 'tlfs').tlfs!;
  return `## ${id} ${name}

- Input: ${input}.
- TLFS: ${tlfs.says}. ${citationOf(tlfs.rule)}.
- KVM: ${kvm.does}. \`${kvm.source}\`.
- Since: ${since ?? 'not known; seen on 6.1 and 6.12'}.
- Minimal case, \`corpus/known/${name}.json\`: ${minimal.steps.map(describeStep).join('; ')}. TLFS permits ${formatPermitted(judged!.permitted)}; KVM gives ${formatDone(judged!.done)}.
`;
}

function citationOf(rule: string): string {
  const source = tlfsSourceOf(rule);
  if (source === null) throw new Error(`TLFS has no rule ${rule}`);
  return source;
}
