/** Installs what the lab needs: Debian packages (as root) and kernels (as anybody). */
import { InfrastructureError } from '../errors.ts';
import { aptGet, candidateVersion, hasApt, isRoot, type Say, updateLists } from '../system/apt.ts';
import { debianSpecs, refreshDebianKernel } from './kernel/debian-kernel.ts';
import { findProgram, missingTools, neededTools, type ToolName, type Tools } from '../system/tools.ts';

export interface InstallOptions {
  /** `auto` installs what is missing, `refuse` says what is missing. */
  readonly install: 'auto' | 'refuse';
  readonly say: Say;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The programs that the lab needs, installed first when they are missing.
 *
 * @throws InfrastructureError that names what is missing and what to type.
 */
export async function ensureTools(options: InstallOptions): Promise<Tools> {
  const missing = missingTools();
  if (missing.length > 0) await installTools(missing, options);
  const names = Object.keys(neededTools) as ToolName[];
  return Object.fromEntries(names.map((name) => [name, findProgram(name)!])) as unknown as Tools;
}

/** `lab install`: the programs, and the newest of each Debian kernel series, even when one is there already. */
export async function installLab(options: Omit<InstallOptions, 'install'>): Promise<void> {
  await ensureTools({ ...options, install: 'auto' });
  // Without network, what is there already may still be enough.
  const failure = hasApt() && isRoot() ? await updateLists(options.say, options) : null;
  if (failure !== null) options.say(`${failure.message}; going on with the package lists that are there`);
  for (const spec of debianSpecs) await refreshDebianKernel(spec, options);
  options.say('the lab is ready');
}

async function installTools(missing: readonly ToolName[], { install, say, signal }: InstallOptions): Promise<void> {
  const packages = missing.map((name) => neededTools[name]);
  const absent = `the lab needs ${missing.join(' and ')} (Debian packages: ${packages.join(' ')})`;
  const command = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  if (install === 'refuse') throw new InfrastructureError(`${absent}; installing is switched off`);
  if (!hasApt()) throw new InfrastructureError(`${absent}, and this computer has no apt-get: install them by hand`);
  if (!isRoot()) throw new InfrastructureError(`${absent}; type: sudo apt-get update && sudo ${command}`);

  const versions = await Promise.all(packages.map((name) => candidateVersion(name)));
  const installAll = async (): Promise<void> => {
    say(`installing ${packages.join(', ')}`);
    await aptGet(['install', '-y', '--no-install-recommends', ...packages], { signal });
  };
  if (versions.includes(null)) {
    const failure = await updateLists(say, { signal });
    await installAll().catch((error: unknown) => {
      throw failure ?? error;
    });
  } else {
    await installAll().catch(async (error: unknown) => {
      if (signal?.aborted) throw error;
      // Old lists name files that are gone.
      await updateLists(say, { signal });
      await installAll();
    });
  }
  const still = missingTools();
  if (still.length > 0) throw new InfrastructureError(`${still.join(' and ')} not found after: ${command}`);
}
