/** A tree that was never built: a copy gets a small configuration of ours and is built once, from then on incrementally. */
import { existsSync, readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runTool } from '../system/run-tool.ts';
import { UsageError } from '../errors.ts';
import type { InstallOptions } from '../system/packages/install-packages.ts';
import { withLock } from '../system/lock.ts';
import { makeGoals, type Source } from './make.ts';
import { configArguments, lackingOptions } from './small-config.ts';
import { givenSource } from './source.ts';

/** Beside the copy: it is built as far as `changed` says. */
const readyMark = '.hvipi-built';
const configuredMark = '.hvipi-configured';
/** What lies there is built by `makeKvm`. */
const kvmFolders = /^(?:arch\/x86\/kvm|virt\/kvm)\//;

/**
 * Builds the copy of a tree, kernel and modules, unless nothing but KVM has changed since.
 *
 * @param root the tree, for messages.
 * @param changed files of the copy that differ from the last time.
 * @throws BuildError when it does not compile, UsageError when it cannot be configured.
 */
export async function buildSmallKernel(
  root: string,
  copy: string,
  changed: readonly string[],
  { say, signal }: InstallOptions,
): Promise<Source> {
  const mark = join(copy, readyMark);
  return withLock(`${copy}.lock`, say, async () => {
    if (existsSync(mark) && !changed.some((file) => !kvmFolders.test(file) && !file.endsWith('/')))
      return givenSource(copy);
    const isFirst = !existsSync(join(copy, configuredMark));
    await rm(mark, { force: true });
    // The release is worked out by the tree itself.
    const source = { tree: copy, release: '' };
    if (isFirst) {
      say(`${root} was never built: a copy gets a small configuration of ours and is built once, which takes minutes`);
      await makeGoals(source, ['tinyconfig'], signal);
      await runTool('scripts/config', configArguments(), { cwd: copy });
      await writeFile(join(copy, configuredMark), '');
    } else {
      say('building what is new or was not built to the end');
    }
    await makeGoals(source, ['olddefconfig'], signal);
    const lacking = lackingOptions(readFileSync(join(copy, '.config'), 'utf8'));
    if (lacking.length > 0) {
      throw new UsageError(`--tree ${root}: it cannot be configured with ${lacking.join(', ')}, which the lab needs`);
    }
    await makeGoals(source, ['bzImage', 'modules'], signal);
    await writeFile(mark, '');
    return givenSource(copy);
  });
}
