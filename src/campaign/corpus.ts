/** The saved cases under `corpus/`: read, listed, and checked against the rules for files there. */
import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { deviations } from '../../oracle/tlfs/deviations.ts';
import { type Case, CaseError, caseId, formatCase, parseCase } from '../case/case.ts';
import type { Executor } from '../executor/executor.ts';
import { packageRoot } from '../system/own-command.ts';
import { judgeObservation, prepare } from './judgement.ts';

export interface CorpusEntry {
  /** Path as a person would type it. */
  readonly file: string;
  readonly value: Case;
}

/** A file that breaks a rule of the corpus. */
export interface CorpusComplaint {
  readonly file: string;
  readonly field: string;
  readonly message: string;
}

const fileNamePattern = /^(selftest|send-ipi-ex|send-ipi)-[a-z0-9]+(-[a-z0-9]+)*\.json$/;

/** Folder in the corpus of minimal cases of the listed deviations. */
export const knownFolder = 'known';

/** The corpus that came with this checkout or package. */
export function ownCorpusFolder(): string {
  return join(packageRoot(), 'corpus');
}

/**
 * All cases of a corpus, by file name.
 *
 * @throws CaseError that names the file and the field.
 */
export async function loadCorpus(folder: string): Promise<CorpusEntry[]> {
  const files = await corpusFiles(folder);
  return Promise.all(files.map(async (file) => ({ file: displayed(file), value: await loadCase(file) })));
}

/** Everything that is wrong with a corpus; runs each case on the model, whose word it must agree with. */
export async function checkCorpus(
  folder: string,
  model: Executor,
): Promise<{ files: number; complaints: CorpusComplaint[] }> {
  const complaints: CorpusComplaint[] = [];
  const seen = new Map<string, string>();
  const files = await corpusFiles(folder);
  for (const path of files) {
    const file = displayed(path);
    const complain = (field: string, message: string): void => void complaints.push({ file, field, message });
    const text = await readFile(path, 'utf8');
    let value: Case;
    try {
      value = parseCase(text);
    } catch (error) {
      if (!(error instanceof CaseError)) throw error;
      const [field = 'case', ...message] = error.message.split(': ');
      complain(field, message.join(': '));
      continue;
    }
    checkName(relative(folder, path), value, complain);
    checkText(text, value, complain);
    const twin = seen.get(caseId(value));
    if (twin !== undefined) complain('case', `is the same case as ${twin}`);
    seen.set(caseId(value), file);
    await checkOnModel(value, model, complain);
  }
  return { files: files.length, complaints };
}

type Complain = (field: string, message: string) => void;

/** Cases in `known/` are named by the deviation that they show, all others by what they call. */
function checkName(path: string, value: Case, complain: Complain): void {
  if (dirname(path) === knownFolder) {
    const isKnown = deviations.some(({ name }) => `${name}.json` === basename(path));
    if (!isKnown) complain('file name', 'must be the name of a deviation of oracle/tlfs/deviations.ts');
    return;
  }
  const match = fileNamePattern.exec(basename(path));
  if (match === null) complain('file name', 'must be <call>-<what>.json or selftest-<what>.json, in lower case');
  else if (match[1] !== 'selftest' && !value.steps.some((step) => step.do === match[1])) {
    complain('file name', `says ${match[1]}, and no step does that`);
  }
}

function checkText(text: string, value: Case, complain: Complain): void {
  if (text !== formatCase(value)) complain('text', 'is not canonical; `replay --json` prints the canonical text');
  if (value.why === '') complain('why', 'is missing: one line that says what the case is for');
}

async function checkOnModel(value: Case, model: Executor, complain: Complain): Promise<void> {
  const prepared = prepare(value, model.facts);
  const [observation] = await model.run([prepared.program], { exact: true });
  const judgement = judgeObservation(prepared, observation!);
  if (judgement.class !== 'divergence') return;
  for (const { step, what, expected, observed } of judgement.differences) {
    complain(step === null ? 'machine' : `steps[${step}]`, `${what}: expected ${expected}, the model gave ${observed}`);
  }
}

/** Reads one case file. */
async function loadCase(file: string): Promise<Case> {
  try {
    return parseCase(await readFile(file, 'utf8'));
  } catch (error) {
    throw error instanceof CaseError ? new CaseError(`${displayed(file)}: ${error.message}`) : error;
  }
}

async function corpusFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => join(folder, name));
}

function displayed(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith('..') ? file : path;
}
