import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InfrastructureError } from '../../../src/errors.ts';
import { buildHand } from '../../../src/hand/build.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

const tools = vi.hoisted(() => ({ folder: '' }));
// The folders that a plain user's PATH may lack have a compiler here; only those of the test are looked into.
vi.mock('../../../src/system/packages/tools.ts', async (original) => ({
  ...(await original<object>()),
  findProgram: (name: string) => (existsSync(join(tools.folder, name)) ? join(tools.folder, name) : null),
}));

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
  tools.folder = join(folder, 'bin');
  mkdirSync(tools.folder);
  vi.stubEnv('HVIPI_CACHE', join(folder, 'cache'));
});
afterEach(() => {
  vi.unstubAllEnvs();
});

/** A compiler that is a shell script. */
function compiler(name: string, version: string, body: string): void {
  const text = `#!/bin/sh\nif [ "$1" = --version ]; then echo "${version}"; exit; fi\n${body}\n`;
  writeFileSync(join(tools.folder, name), text);
  chmodSync(join(tools.folder, name), 0o755);
}

const writesOutput = 'while [ "$1" != -o ]; do shift; done; echo built > "$2"; echo run >> "$COUNT"';

describe('buildHand', () => {
  it('should say in one line what to install where there is no compiler', async () => {
    await expect(buildHand('program')).rejects.toEqual(
      new InfrastructureError('no C compiler for the hand: apt-get install gcc libc6-dev (or clang)'),
    );
  });

  it('should tell the first error of a compiler that does not compile it, and keep nothing', async () => {
    compiler('gcc', 'gcc 1', 'echo "note" >&2; echo "hand.c:7: error: no such thing" >&2; exit 1');
    const message = `${join(tools.folder, 'gcc')} does not compile the hand: hand.c:7: error: no such thing`;
    await expect(buildHand('program')).rejects.toEqual(new InfrastructureError(message));
    expect(readdirSync(join(folder, 'cache', 'hand'))).toEqual([]);
  });

  it('should build once for a source, a form and a version of a compiler', async () => {
    vi.stubEnv('COUNT', join(folder, 'count'));
    compiler('clang', 'clang 1', writesOutput);
    const first = await buildHand('program');
    expect(await buildHand('program')).toEqual(first);
    const library = await buildHand('library');
    compiler('clang', 'clang 2', writesOutput);
    const other = await buildHand('program');
    expect(new Set([first.path, library.path, other.path]).size).toBe(3);
    expect(other.version).toBe(first.version);
    for (const { path } of [first, library, other]) expect(existsSync(path)).toBe(true);
  });
});
