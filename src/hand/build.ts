/** Builds the hand with the compiler at hand, and caches it by source and compiler. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { InfrastructureError } from '../errors.ts';
import { cacheRoot, makeFolderAtOnce } from '../system/cache.ts';
import { packageRoot } from '../system/own-command.ts';
import { findProgram } from '../system/packages/tools.ts';
import { framesHeader } from './frames.ts';
import { operationsHeader, operationsSource } from './header.ts';

/** `program`: static, so that it runs wherever a kernel does. `library`: what koffi loads. */
export type HandForm = 'program' | 'library';

const compilers = ['gcc', 'clang', 'cc'] as const;
const flags = ['-std=gnu11', '-O2', '-g', '-Wall', '-Wextra', '-pthread', '-I.'];
/** What executes scripts, in both forms. */
export const scriptSources = [
  'hand.c',
  'record.c',
  'operations/objects.c',
  'operations/ioctls.c',
  'operations/memory.c',
  'operations/runs.c',
  'operations/conditions.c',
  'vcpu-run.c',
] as const;
const forms = {
  program: { sources: [...scriptSources, 'main.c', 'window.c', 'lab.c'], flags: ['-static'], file: 'hand' },
  // Its functions call each other, and not those of the same name that this process may have.
  library: { sources: [...scriptSources, 'library.c'], flags: ['-shared', '-fPIC', '-Wl,-Bsymbolic'], file: 'hand.so' },
} as const;
const headers = ['hand.h', 'script.h', 'vcpu-run.h', 'lab.h', 'window.h'];

/** What was built, and the version that it says it is. */
export interface BuiltHand {
  readonly path: string;
  readonly version: string;
}

/**
 * The path of a hand, built unless the cache has it.
 *
 * @throws InfrastructureError in one line when there is no compiler, or it fails.
 */
export async function buildHand(form: HandForm): Promise<BuiltHand> {
  const compiler = compilers.map((name) => findProgram(name)).find((path) => path !== null) ?? null;
  if (compiler === null) {
    throw new InfrastructureError('no C compiler for the hand: apt-get install gcc libc6-dev (or clang)');
  }
  const { sources, flags: ownFlags, file } = forms[form];
  const texts = new Map([...sources, ...headers].map((name) => [name, readFileSync(join(sourceFolder, name), 'utf8')]));
  texts.set('operations.h', operationsHeader());
  texts.set('operations.c', operationsSource());
  texts.set('frames.h', framesHeader());
  const version = hashOf([...texts]).slice(0, 16);
  const { stdout: compilerVersion } = await execa(compiler, ['--version']);
  const allFlags = [...flags, ...ownFlags, `-DHAND_VERSION="${version}"`];
  const folder = join(cacheRoot(), 'hand', hashOf([version, compiler, compilerVersion, allFlags]).slice(0, 16));
  const path = join(folder, file);
  if (existsSync(path)) return { path, version };
  await makeFolderAtOnce(folder, async (draft) => {
    await mkdir(join(draft, 'operations'));
    for (const [name, text] of texts) await writeFile(join(draft, name), text);
    const result = await execa(compiler, [...allFlags, '-o', file, ...sources, 'operations.c'], {
      cwd: draft,
      reject: false,
    });
    if (result.failed)
      throw new InfrastructureError(`${compiler} does not compile the hand: ${firstError(result.stderr)}`);
  });
  return { path, version };
}

/** A package has them there too, beside what was built. */
const sourceFolder = join(packageRoot(), 'src/hand/c');

function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

function firstError(text: string): string {
  return text.split('\n').find((line) => line.includes('error')) ?? text.split('\n')[0] ?? '';
}
