/**
 * Package lists of all of Debian's suites, beside the system's own: nobody needs to be root for them, and a kernel is
 * found whatever suite this computer follows. Where the mirror is comes from the system's own apt configuration; that
 * what it sends is Debian's is what Debian's signature says.
 */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InfrastructureError } from '../../errors.ts';
import { updateLists } from '../../system/packages/apt.ts';
import { runTool } from '../../system/run-tool.ts';
import type { Say } from '../../system/say.ts';
import { cacheRoot, ensureFolder } from '../../system/cache.ts';
import { withFileErrors } from '../../system/file-errors.ts';
import { withLock } from '../../system/lock.ts';

/**
 * By codename and not as `stable` or `testing`: a mirror may keep an older copy under such a name, and which release
 * it means changes.
 */
const releases = ['bullseye', 'bookworm', 'trixie'] as const;
const mainSuites = [
  ...releases.flatMap((name) => (name === 'bullseye' ? [name] : [name, `${name}-updates`, `${name}-backports`])),
  'forky',
  'sid',
  'experimental',
];
/** The release whose source packages are used. */
export const sourceSuite = 'trixie';
const securitySuites = ['bookworm-security', 'trixie-security'];

/** What a suite of Debian may be called in somebody's apt configuration. */
const mainNames = new Set([
  ...mainSuites,
  ...['unstable', 'testing', 'stable', 'oldstable', 'oldoldstable'].flatMap((name) => [
    name,
    `${name}-updates`,
    `${name}-backports`,
  ]),
]);
const securityNames = /^(?:bullseye|bookworm|trixie|forky|(?:old)*stable|testing)-security$/;

/** Of the package debian-archive-keyring; from Debian 13 on the name ends in .pgp. */
const keyrings = ['/usr/share/keyrings/debian-archive-keyring.pgp', '/usr/share/keyrings/debian-archive-keyring.gpg'];

/** Lists that are younger are taken as they are. */
const freshHours = 24;

export interface ListOptions {
  readonly say: Say;
  readonly signal?: AbortSignal | undefined;
}

/** A place that apt is told to fetch from: address and suite. */
export interface Repository {
  readonly uri: string;
  readonly suite: string;
}

/** Lists of binary packages of all suites, or of source packages of the suite whose sources are used. */
export type ListKind = 'packages' | 'sources';

/** Options that have apt work on the private lists and on nothing of the system's but its configuration of the network. */
export function listArguments(kind: ListKind = 'packages'): string[] {
  const root = listRoot(kind);
  const settings = {
    'Dir::Etc::sourcelist': join(root, 'debian.sources'),
    'Dir::Etc::sourceparts': '/dev/null',
    'Dir::Etc::preferences': '/dev/null',
    'Dir::Etc::preferencesparts': '/dev/null',
    'Dir::State::lists': join(root, 'lists'),
    'Dir::State::status': '/dev/null',
    'Dir::Cache': root,
    'Dir::Cache::archives': join(root, 'archives'),
    'Dir::Cache::pkgcache': 'pkgcache.bin',
    // The other half of the cache would double what it takes on disk.
    'Dir::Cache::srcpkgcache': '',
    'APT::Architecture': 'amd64',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
}

/** Hours since the lists were asked for; null when there are none. */
export function listAgeHours(now = Date.now(), kind: ListKind = 'packages'): number | null {
  const folder = join(listRoot(kind), 'lists');
  const mark = kind === 'packages' ? '_Packages' : '_Sources';
  if (!existsSync(folder) || !readdirSync(folder).some((name) => name.includes(mark))) return null;
  return (now - statSync(join(listRoot(kind), 'debian.sources')).mtimeMs) / 3_600_000;
}

/**
 * Makes the lists usable: updated when there are none or old ones, or when `mode` says so. What apt complained of is
 * returned, because what is needed may be there all the same.
 *
 * @throws InfrastructureError when this computer's configuration names no mirror of Debian, or has none of its keys.
 */
export async function ensureLists(
  mode: 'fresh' | 'update',
  options: ListOptions,
  kind: ListKind = 'packages',
): Promise<InfrastructureError | null> {
  const root = listRoot(kind);
  for (const name of ['lists/partial', 'archives/partial']) await ensureFolder(join(root, name));
  return withFileErrors(root, () =>
    withLock(join(root, 'lock'), options.say, async () => {
      const age = listAgeHours(Date.now(), kind);
      if (mode === 'fresh' && age !== null && age < freshHours) return null;
      const sources = formatSources(mirrorsAmong(await configuredRepositories()), debianKeyring(), kind);
      await writeFile(join(root, 'debian.sources'), sources);
      const what =
        kind === 'packages'
          ? 'package lists of all suites of Debian (some 50 MB'
          : 'list of source packages (some 11 MB';
      const say = (): void => options.say(`asking for the ${what} at first)`);
      return updateLists(say, { args: [...listArguments(kind), '--allow-releaseinfo-change'], signal: options.signal });
    }),
  );
}

/** All repositories of the system's configuration; apt reads both of its formats. */
async function configuredRepositories(): Promise<Repository[]> {
  // Without --no-release-info apt tells nothing of repositories that were never asked.
  const format = '$(REPO_URI) $(RELEASE) $(COMPONENT)';
  const lines = await runTool('apt-get', ['indextargets', '--no-release-info', '--format', format]);
  return lines.split('\n').flatMap((line) => {
    const [uri, suite, component] = line.split(' ');
    return uri === undefined || suite === undefined || component !== 'main' ? [] : [{ uri, suite }];
  });
}

interface Mirrors {
  readonly main: string;
  /** Null when the configuration names none. */
  readonly security: string | null;
}

/**
 * Which of the repositories are a mirror of Debian's and of its security archive.
 *
 * @throws InfrastructureError when none is.
 */
export function mirrorsAmong(repositories: readonly Repository[]): Mirrors {
  const usable = repositories.filter(({ uri }) => !uri.startsWith('cdrom:'));
  const main = usable.find(({ suite }) => mainNames.has(suite));
  if (main === undefined) {
    throw new InfrastructureError(
      "Debian's kernels need a mirror of Debian in this computer's apt configuration, which has none; " +
        'give --kernel running, a bzImage or a kernel build folder',
    );
  }
  return { main: main.uri, security: usable.find(({ suite }) => securityNames.test(suite))?.uri ?? null };
}

/** Sources in apt's deb822 format (sources.list(5)), with nothing fetched but lists of one kind of package. */
export function formatSources({ main, security }: Mirrors, keyring: string, kind: ListKind = 'packages'): string {
  if (kind === 'sources') {
    return [
      'Types: deb-src',
      `URIs: ${main}`,
      `Suites: ${sourceSuite}`,
      'Components: main',
      'Targets: Sources',
      `Signed-By: ${keyring}`,
      '',
    ].join('\n');
  }
  const stanza = (uri: string, suites: readonly string[]): string =>
    [
      'Types: deb',
      `URIs: ${uri}`,
      `Suites: ${suites.join(' ')}`,
      'Components: main',
      'Architectures: amd64',
      'Targets: Packages',
      `Signed-By: ${keyring}`,
      '',
    ].join('\n');
  return [stanza(main, mainSuites), ...(security === null ? [] : [stanza(security, securitySuites)])].join('\n');
}

function debianKeyring(): string {
  const keyring = keyrings.find((path) => existsSync(path));
  if (keyring === undefined) {
    throw new InfrastructureError(
      `Debian's keys are not here (looked for ${keyrings.join(' and ')}); install the package debian-archive-keyring`,
    );
  }
  return keyring;
}

function listRoot(kind: ListKind): string {
  return join(cacheRoot(), kind === 'packages' ? 'apt' : 'apt-sources');
}
