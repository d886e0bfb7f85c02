/** Installs the distribution's packages where that is allowed, and otherwise says what to type. */
import { InfrastructureError } from '../../errors.ts';
import { aptGet, candidateVersion, hasApt, isRoot, updateLists } from './apt.ts';
import type { Say } from '../say.ts';
import { thisDistribution } from './distribution.ts';
import { installCommand } from './tools.ts';

export interface InstallOptions {
  /** Whether what is missing may be installed; else it is said. */
  readonly install: boolean;
  readonly say: Say;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Installs packages, with apt as root.
 *
 * @param need what is missing and why, for the error.
 * @throws InfrastructureError that says what to type.
 */
export async function installPackages(
  packages: readonly string[],
  need: string,
  options: InstallOptions,
): Promise<void> {
  const { install, say, signal } = options;
  const distribution = thisDistribution();
  const command = installCommand(packages, distribution, isRoot());
  if (command === null) {
    throw new InfrastructureError(
      `${need}; how to install them on ${distribution.name} is not known here (Debian calls them ${packages.join(' ')})`,
    );
  }
  if (!install) throw new InfrastructureError(`${need}; installing is switched off; type: ${command}`);
  if (!hasApt() || !isRoot()) throw new InfrastructureError(`${need}; type: ${command}`);

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
    return;
  }
  await installAll().catch(async (error: unknown) => {
    if (signal?.aborted) throw error;
    // Old lists name files that are gone.
    await updateLists(say, { signal });
    await installAll();
  });
}
