/** Reads what `replay` and `explain` take: case files, finding files, `{seed, path}` files, and folders of these. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { caseAt } from '../../campaign/stream/batches.ts';
import { findingSchemaName, parseFinding } from '../../campaign/findings/finding.ts';
import { type Case, CaseError, fittingCase, parseCase } from '../../case/case.ts';
import type { TargetFacts } from '../../executor/facts.ts';
import { UsageError } from '../../errors.ts';

export interface LoadedCase {
  /** Where it comes from, for a person. */
  readonly name: string;
  readonly value: Case;
  /** Cases that must run before it in the same batch; empty for all but unstable findings. */
  readonly before: readonly Case[];
  /** The KVM that a finding was made on. */
  readonly facts: TargetFacts | null;
}

const drawnFields = z.strictObject({ seed: z.string().min(1), path: z.string() });

/** A file or a folder that gives no case. */
export interface RefusedFile {
  readonly name: string;
  readonly error: UsageError | CaseError;
}

/**
 * All cases of the files, in order; a folder gives its JSON files by name.
 *
 * @throws UsageError for a file that cannot be read, CaseError that names file and field for one that is wrong.
 */
export function loadCases(files: readonly string[]): LoadedCase[] {
  return files.flatMap(filesOf).map(loadFile);
}

/** The same, but that a file which cannot be used does not stop the others. */
export function loadEach(files: readonly string[]): {
  readonly cases: readonly LoadedCase[];
  readonly refused: readonly RefusedFile[];
} {
  const refused: RefusedFile[] = [];
  const orRefused = <Item>(name: string, load: () => Item[]): Item[] => {
    try {
      return load();
    } catch (error) {
      if (!(error instanceof UsageError) && !(error instanceof CaseError)) throw error;
      refused.push({ name, error });
      return [];
    }
  };
  const names = files.flatMap((file) => orRefused(file, () => filesOf(file)));
  const cases = names.flatMap((file) => orRefused(file, () => [loadFile(file)]));
  return { cases, refused };
}

function loadFile(file: string): LoadedCase {
  try {
    return loadText(file, readText(file));
  } catch (error) {
    throw error instanceof CaseError ? new CaseError(`${file}: ${error.message}`) : error;
  }
}

/**
 * The generated case at a path like `3:17`.
 *
 * @throws UsageError
 */
export function loadDrawn(seed: string, path: string): LoadedCase {
  const match = /^(\d{1,9}):(\d{1,4})$/.exec(path);
  if (match === null) throw new UsageError(`path ${path}: a path is batch:index, like 3:17`);
  const value = caseAt(seed, { batch: Number(match[1]), index: Number(match[2]) });
  return { name: `seed ${seed}, path ${path}`, value, before: [], facts: null };
}

function loadText(file: string, text: string): LoadedCase {
  const json = parseJson(text);
  const { schema } = (json ?? {}) as { schema?: unknown };
  if (typeof schema === 'string' && schema.startsWith('hvipi/finding/')) {
    if (schema !== findingSchemaName) {
      throw new CaseError(`schema: is ${JSON.stringify(schema)}, this hvipi reads "${findingSchemaName}"`);
    }
    const finding = parseFinding(json);
    const before = finding.batch.slice(0, -1).map(fittingCase);
    return { name: file, value: fittingCase(finding.case), before, facts: finding.target ?? null };
  }
  if (schema === undefined && typeof json === 'object' && json !== null && ('path' in json || 'seed' in json)) {
    const result = drawnFields.safeParse(json);
    if (result.success) return { ...loadDrawn(result.data.seed, result.data.path), name: file };
    const issue = result.error.issues[0]!;
    throw new CaseError(`${issue.path.join('.') || 'seed and path'}: ${issue.message}`);
  }
  return { name: file, value: parseCase(json), before: [], facts: null };
}

function filesOf(path: string): string[] {
  let isFolder: boolean;
  try {
    isFolder = statSync(path).isDirectory();
  } catch (error) {
    throw new UsageError(`${path}: ${reasonOf(error)}`);
  }
  if (!isFolder) return [path];
  const names = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.json'));
  if (names.length === 0) throw new UsageError(`${path}: no JSON file in this folder`);
  return names.sort().map((name) => join(path, name));
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(`${file}: ${reasonOf(error)}`);
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CaseError(`not JSON: ${(error as Error).message}`);
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'no such file';
  return code === 'EACCES' ? 'permission denied' : message;
}
