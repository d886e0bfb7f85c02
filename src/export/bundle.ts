/** A finding as one archive that another person can judge and run: case, kernel, console, programs, a draft of the mail. */
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { type Case, caseId, formatCase } from '../case/case.ts';
import { runTool } from '../system/run-tool.ts';
import { ensureFolder } from '../system/cache.ts';
import { withFileErrors } from '../system/file-errors.ts';
import type { TargetFacts } from '../executor/facts.ts';
import { type Evidence, problemOf } from './evidence.ts';
import { formatMail } from './mail.ts';
import { type ExportedProgram, exportForms, programOrNull } from './c/write.ts';
import { temporaryFolder } from '../system/temporary-folder.ts';

/** File names in the archive, and their texts. */
export function bundleFiles(
  value: Case,
  finding: string | null,
  evidence: Evidence,
  facts: TargetFacts,
): Map<string, string> {
  const programs = exportForms.flatMap((form) => programOrNull(value, facts, form) ?? []);
  const standalone = programs.find(({ form }) => form === 'standalone') ?? null;
  const { prepared: _prepared, judgement: _judgement, observed: _observed, console, kernel, ...rest } = evidence;
  // Where they lay on this computer says nothing to others.
  const about = { kernel: { ...kernel, kvmModules: kernel.kvmModules !== null }, ...rest };
  return new Map([
    ['README.txt', readme(value, evidence, programs)],
    ['case.json', formatCase(value)],
    ['about.json', `${JSON.stringify({ ...about, problem: problemOf(evidence) }, null, 2)}\n`],
    ['mail.txt', formatMail(value, evidence, standalone)],
    ...(finding === null ? [] : [['finding.json', finding] as const]),
    ...(console === null ? [] : [['console.txt', `${console}\n`] as const]),
    ...programs.map(({ name, form, text }) => [`${name}-${form}.c`, text] as const),
  ]);
}

/** Writes the archive, a .tar.gz. @throws InfrastructureError for a full disk and the like. */
export async function writeBundle(files: ReadonlyMap<string, string>, name: string, target: string): Promise<void> {
  await using folder = await temporaryFolder('bundle');
  await mkdir(join(folder.path, name));
  for (const [file, text] of files) await writeFile(join(folder.path, name, file), text);
  await ensureFolder(dirname(resolve(target)));
  await withFileErrors(target, () => runTool('tar', ['czf', resolve(target), '-C', folder.path, name]));
}

function readme(value: Case, evidence: Evidence, programs: readonly ExportedProgram[]): string {
  const { kernelVersion, shown, times, tool } = evidence;
  const lines = [
    `Case ${caseId(value)}: ${problemOf(evidence) ?? 'KVM does as expected'}`,
    `Shown ${shown} of ${times} times by ${tool} on ${kernelVersion}`,
    '',
    'case.json     the case: hvipi replay case.json, hvipi explain case.json',
    'about.json    kernel, hashes, QEMU, tool',
    'mail.txt      draft of a report to kvm@vger.kernel.org',
    ...programs.map(({ form, name }) =>
      form === 'standalone'
        ? `${name}-${form}.c\n              gcc -O2 -o reproducer ${name}-${form}.c && ./reproducer`
        : `${name}-${form}.c\n              for tools/testing/selftests/kvm`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}
