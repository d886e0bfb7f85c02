/** Which compiler modules are built with, and whether it is the one that built the kernel they are for. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';

/** The compiler that a source is built with: `gcc (Debian 12.2.0-14) 12.2.0`. */
export async function compilerVersion(): Promise<string> {
  const { stdout } = await execa('gcc', ['--version'], { env: { LC_ALL: 'C' } });
  return stdout.split('\n')[0]!.trim();
}

/** The kernel's own configuration, kept beside the one that this computer's compiler made of it. */
export const kernelsConfig = '.config.kernel';

/** A line for the user when this computer's compiler is of another major version than the kernel's; null when it is not. */
export async function compilerDiffers(tree: string): Promise<string | null> {
  const file = join(tree, kernelsConfig);
  if (!existsSync(file)) return null;
  const built = /^CONFIG_CC_VERSION_TEXT="(.*)"$/m.exec(readFileSync(file, 'utf8'))?.[1];
  const ours = await compilerVersion();
  if (built === undefined || majorOf(built) === majorOf(ours)) return null;
  return `the modules are built by ${ours}, the kernel was by ${built}`;
}

/** `gcc 14` of a line in which a version comes last. */
export function majorOf(version: string): string {
  const name = /clang/.test(version) ? 'clang' : 'gcc';
  return `${name} ${/(\d+)\.\d+\.\d+\s*$/.exec(version)?.[1] ?? version}`;
}
