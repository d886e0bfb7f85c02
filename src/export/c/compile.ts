/** Compiles an exported program with every warning that a reviewer would turn on; static, because the lab has no libc. */
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { BuildError } from '../../build/make.ts';
import type { Source } from '../../build/make.ts';
import { runTool } from '../../system/run-tool.ts';
import type { ExportedProgram } from './write.ts';

export interface Compiled {
  /** Path of the program. */
  readonly path: string;
  /** What the compiler complained about; "" when it did not. */
  readonly warnings: string;
}

const strict = ['-O2', '-Wall', '-Wextra', '-static'];
/** What the selftests' own Makefile (6.12) says, with the tree's headers as system headers: their warnings are not ours. */
const selftestFlags = [
  '-std=gnu99',
  '-DCONFIG_64BIT',
  '-U_FORTIFY_SOURCE',
  '-fno-builtin-memcmp',
  '-fno-builtin-memcpy',
  '-fno-builtin-memset',
  '-fno-builtin-strnlen',
  '-fno-stack-protector',
  '-fno-PIE',
  '-fno-strict-aliasing',
  '-march=x86-64-v2',
  '-pthread',
  '-no-pie',
];

/**
 * Compiles into `folder`. A selftest needs a kernel source whose selftest library is built (`buildSelftestLibrary`).
 *
 * @throws BuildError with the compiler's lines.
 */
export async function compileExport(
  program: ExportedProgram,
  folder: string,
  source: Source | null,
): Promise<Compiled> {
  const file = join(folder, `${program.name}-${program.form}.c`);
  const path = file.replace(/\.c$/, '');
  await writeFile(file, program.text);
  const args = program.form === 'standalone' ? [file] : await selftestArguments(file, source!);
  const result = await execa('gcc', [...strict, ...args, '-o', path], { env: { LC_ALL: 'C' }, reject: false });
  if (result.exitCode !== 0) {
    throw new BuildError(`gcc does not compile ${file}: exit ${result.exitCode ?? 'by a signal'}`, result.stderr);
  }
  return { path, warnings: result.stderr.trim() };
}

/** The library that the kernel's KVM selftests share, built in the source once. */
export async function buildSelftestLibrary({ tree }: Source): Promise<void> {
  const kvm = selftestFolder(tree);
  if (existsSync(join(kvm, 'x86_64/hyperv_ipi'))) return;
  await runTool('nice', ['-n', '5', 'make', '-s', '-j2', 'headers'], { cwd: tree });
  const flags = ['-s', '-j2', 'LDFLAGS=-static -pthread -no-pie'];
  await runTool('nice', ['-n', '5', 'make', ...flags, join(kvm, 'x86_64/hyperv_ipi')], { cwd: kvm });
}

async function selftestArguments(file: string, { tree }: Source): Promise<string[]> {
  const kvm = selftestFolder(tree);
  const headers = [
    join(kvm, 'include'),
    join(kvm, 'include/x86_64'),
    join(kvm, '..'),
    join(kvm, '../rseq'),
    join(tree, 'tools/include'),
    join(tree, 'tools/arch/x86/include'),
    join(tree, 'usr/include'),
  ];
  const objects = await Promise.all([objectsIn(join(kvm, 'lib')), objectsIn(join(kvm, 'lib/x86_64'))]);
  return [...selftestFlags, ...headers.flatMap((folder) => ['-isystem', folder]), file, ...objects.flat(), '-ldl'];
}

async function objectsIn(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.o')).map((name) => join(folder, name));
}

function selftestFolder(tree: string): string {
  return join(tree, 'tools/testing/selftests/kvm');
}
