/** Which kernels Debian's suites have, from the private lists, and of which packages each is put together. */
import { InfrastructureError } from '../../errors.ts';
import { packageNames } from '../../system/packages/apt.ts';
import { runTool } from '../../system/run-tool.ts';
import { thisDistribution } from '../../system/packages/distribution.ts';
import { listArguments } from './debian-lists.ts';
import { byPreference, isMeta, type KernelPackage, releaseOfPackage, seriesOf } from './debian-release.ts';

/** All kernels that the lists have, the best first. */
export async function offeredKernels(): Promise<KernelPackage[]> {
  const names = await packageNames('linux-image-', listArguments());
  const packages = await versionsOf(names.filter((name) => releaseOfPackage(name) !== null));
  return packages.filter((offer) => !isMeta(offer)).sort(byPreference(ownDebian()));
}

/** The best of each series, the newest series first. */
export function bestOfEach(offers: readonly KernelPackage[]): Map<string, KernelPackage> {
  const best = new Map<string, KernelPackage>();
  for (const offer of offers) {
    const series = seriesOf(releaseOfPackage(offer.name)!);
    if (!best.has(series)) best.set(series, offer);
  }
  return best;
}

/**
 * The packages that make up a kernel, itself included. Up to 7.1 there is one; from 7.2 on `linux-image-` is empty and
 * depends on linux-binary- (the image), linux-modules- and linux-base- (modules.order, modules.builtin, the configuration).
 *
 * @throws InfrastructureError that names the piece which the mirror lacks.
 */
export async function piecesOf(kernel: KernelPackage): Promise<KernelPackage[]> {
  const release = releaseOfPackage(kernel.name)!;
  const record = await runTool('apt-cache', [...listArguments(), 'show', `${kernel.name}=${kernel.version}`]);
  const names = pieceNames(record, release);
  const found = await versionsOf(names);
  const pieces = names.map((name) => {
    const piece = found.find((candidate) => candidate.name === name && candidate.version === kernel.version);
    if (piece === undefined) {
      throw new InfrastructureError(
        `${kernel.name} ${kernel.version}: the mirror lacks ${name}, which is a piece of it; ` +
          'try again when the mirror is complete, or give --kernel another series',
      );
    }
    return piece;
  });
  return [kernel, ...pieces];
}

/** Packages of the same release on which a kernel's package depends, from its record. */
export function pieceNames(record: string, release: string): string[] {
  const depends = /^Depends: (.*)$/m.exec(record)?.[1] ?? '';
  const names = depends.split(',').map((entry) => entry.trim().split(' ')[0]!);
  return names.filter((name) => /^linux-[a-z]+-/.test(name) && name.endsWith(`-${release}`));
}

/** Versions and suites of packages: a line for each package, version and suite. */
export async function versionsOf(names: readonly string[]): Promise<KernelPackage[]> {
  if (names.length === 0) return [];
  return parseMadison(await runTool('apt-cache', [...listArguments(), 'madison', ...names]));
}

/** `NAME | VERSION | ADDRESS SUITE/COMPONENT ARCHITECTURE Packages`. */
export function parseMadison(text: string): KernelPackage[] {
  return text.split('\n').flatMap((line) => {
    const match = /^\s*(\S+) \|\s*(\S+) \| \S+ (\S+)\/\S+ \S+ Packages/.exec(line);
    return match === null ? [] : [{ name: match[1]!, version: match[2]!, suite: match[3]! }];
  });
}

/** The number of this computer's Debian; "" on other distributions. */
function ownDebian(): string {
  const { id, version } = thisDistribution();
  return id === 'debian' ? version : '';
}
