/** Installs what the lab needs: packages (as root) and kernels (as anybody). */
import { InfrastructureError } from '../errors.ts';
import { thisDistribution } from '../system/packages/distribution.ts';
import { type InstallOptions, installPackages } from '../system/packages/install-packages.ts';
import {
  findProgram,
  missingTools,
  neededTools,
  packagesOf,
  type ToolName,
  type Tools,
  zstdTool,
} from '../system/packages/tools.ts';
import { ensureBochs } from './emulator/bochs/bochs-build.ts';
import { fetchDebianKernel } from './kernel/debian-kernel.ts';
import type { LabCpu } from './lab-cpu.ts';

export type { InstallOptions } from '../system/packages/install-packages.ts';

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

/** The program for modules in .zst, which this Node does not read. @throws InfrastructureError as `ensureTools` does. */
export async function ensureZstd(options: InstallOptions): Promise<void> {
  const packages = packagesOf([zstdTool], thisDistribution());
  await installPackages(packages, 'the modules of this kernel need the program zstd', options);
}

/** `lab install`: the programs, and the newest Debian kernel of each spec, even when one is there already. */
export async function installLab(
  specs: readonly string[],
  cpu: LabCpu,
  options: Omit<InstallOptions, 'install'>,
): Promise<void> {
  await ensureTools({ ...options, install: true });
  if (cpu === 'intel') await ensureBochs({ ...options, install: true });
  for (const [index, spec] of specs.entries()) {
    const kernel = await fetchDebianKernel(spec, { ...options, lists: index === 0 ? 'update' : 'fresh' });
    options.say(`${spec} is ${kernel.release}`);
  }
  options.say('the lab is ready');
}

async function installTools(missing: readonly ToolName[], options: InstallOptions): Promise<void> {
  const packages = packagesOf(
    missing.map((name) => neededTools[name]),
    thisDistribution(),
  );
  const need = `the lab needs ${missing.join(' and ')} (packages: ${packages.join(' ')})`;
  await installPackages(packages, need, options);
  const still = missingTools();
  if (still.length > 0)
    throw new InfrastructureError(`${still.join(' and ')} not found after installing ${packages.join(' ')}`);
}
