import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { scriptSources } from '../../../src/hand/build.ts';
import { framesHeader } from '../../../src/hand/frames.ts';
import { operationsHeader, operationsSource } from '../../../src/hand/header.ts';
import { handLimits, operations } from '../../../src/hand/operations.ts';
import { scriptCapabilities, scriptRequests, sizes } from '../../../src/hand/uapi.ts';
import { findProgram } from '../../../src/system/packages/tools.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

const handFolder = join(import.meta.dirname, '..', '..', '..', 'src', 'hand', 'c');
const lower = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
const compiler = findProgram('gcc') ?? findProgram('clang');
if (compiler === null) process.stderr.write('the header of the hand is not compiled: there is no C compiler\n');

/** Compiles C text beside the hand's sources and headers; what the compiler says. */
async function compile(text: string): Promise<string> {
  const folder = temporaryFolder();
  for (const [name, content] of [
    ['operations.h', operationsHeader()],
    ['frames.h', framesHeader()],
    ['main.c', text],
  ] as const) {
    writeFileSync(join(folder, name), content);
  }
  const flags = ['-std=gnu11', '-O2', '-Wall', '-Wextra', '-Werror', '-fsyntax-only', '-I.', `-I${handFolder}`];
  const { all } = await execa(compiler!, [...flags, 'main.c'], { cwd: folder, all: true, reject: false });
  return all;
}

describe('operationsHeader', () => {
  it('should give each operation its place in the table as code', () => {
    const text = operationsHeader();
    for (const [code, name] of Object.keys(operations).entries()) {
      expect(text).toContain(`#define OP_${lower(name).toUpperCase()} ${code}\n`);
    }
    expect(text).toContain(`#define HAND_VCPUS ${handLimits.vcpus}u\n`);
  });

  it('should have one definition for each operation, and none besides', () => {
    const source = scriptSources.map((name) => readFileSync(join(handFolder, name), 'utf8')).join('\n');
    const defined = [...source.matchAll(/^void do_(\w+)\(const struct op_\w+ \*op\)$/gm)].map(([, name]) => name);
    expect(new Set(defined)).toEqual(new Set(Object.keys(operations).map(lower)));
    expect(defined).toHaveLength(Object.keys(operations).length);
  });

  it.skipIf(compiler === null)('should compile with the hand, without a warning', async () => {
    expect(await compile(operationsSource())).toBe('');
    for (const name of [...scriptSources, 'main.c', 'window.c', 'lab.c', 'library.c']) {
      const text = readFileSync(join(handFolder, name), 'utf8');
      expect(await compile(`#define HAND_VERSION "0"\n${text}`)).toBe('');
    }
  });

  it.skipIf(compiler === null)("should know structures and ioctls as the kernel's headers do", async () => {
    const structures = Object.entries(sizes).map(
      ([name, size]) => `_Static_assert(sizeof(struct ${name}) == ${size}, "${name}");`,
    );
    // What older headers do not have is not compared.
    const requests = Object.entries(scriptRequests).map(
      ([name, request]) => `#ifdef ${name}\n_Static_assert(${name} == ${request}u, "${name}");\n#endif`,
    );
    const capabilities = [121, 129, 148, 199];
    expect(scriptCapabilities).toEqual(capabilities);
    const text = ['#include <sys/ioctl.h>', '#include <linux/kvm.h>', ...structures, ...requests, 'int main(void);'];
    expect(await compile(`${text.join('\n')}\n`)).toBe('');
  });
});
