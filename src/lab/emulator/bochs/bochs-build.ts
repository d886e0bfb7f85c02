/**
 * Bochs from Debian's source package, with our edits, in the cache. The source is checked by apt against the signed list of the
 * suite. Packaged binaries are slow (debugger and instrumentation are built in) and have the faults that the edits mend.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { applyEdit, EditError } from '../../../system/edit.ts';
import { ensurePackages } from '../../../system/packages/build-packages.ts';
import { InfrastructureError } from '../../../errors.ts';
import { aptGet } from '../../../system/packages/apt.ts';
import { runTool } from '../../../system/run-tool.ts';
import { cacheRoot, ensureFolder, makeFolderAtOnce } from '../../../system/cache.ts';
import type { InstallOptions } from '../../../system/packages/install-packages.ts';
import { withLock } from '../../../system/lock.ts';
import { hvipiCommand } from '../../../system/own-command.ts';
import { unpackPackages } from '../../kernel/debian-kernel.ts';
import { ensureLists, listArguments, sourceSuite } from '../../kernel/debian-lists.ts';
import { versionsOf } from '../../kernel/debian-packages.ts';
import { bochsEdits } from './edits.ts';
import { temporaryFolder } from '../../../system/temporary-folder.ts';

export interface BuiltBochs {
  readonly path: string;
  readonly bios: string;
  readonly vgaBios: string;
}

/** What the edits were written for. */
export const version = '3.0';
const buildPackages = ['g++', 'make', 'xz-utils'];
const biosPackages = ['bochsbios', 'vgabios'];
/** In the packages of the BIOSes, below usr/share. */
const biosFiles = { bios: 'bochs/BIOS-bochs-latest', vgaBios: 'vgabios/vgabios.bin' } as const;

/**
 * Without debugger, instrumentation and plugins, which cost speed whether they are used or not, and without logging,
 * which says a line at each evaluation of virtual interrupts. `show-ips` logs from a signal
 * handler, where it can wait for its own lock for ever.
 */
const configureArguments = [
  '--enable-x86-64',
  '--enable-smp',
  '--enable-vmx=2',
  '--enable-avx',
  '--enable-evex',
  '--enable-pci',
  '--enable-all-optimizations',
  '--enable-handlers-chaining',
  '--disable-show-ips',
  '--disable-logging',
  '--disable-plugins',
  '--disable-docbook',
  '--with-nogui',
  'CFLAGS=-O2',
  'CXXFLAGS=-O2',
];

/** Where the cache has it, or would. */
export function bochsFolder(): string {
  const key = createHash('sha256').update(JSON.stringify([version, configureArguments, bochsEdits]));
  return join(cacheRoot(), 'bochs', key.digest('hex').slice(0, 16));
}

export function bochsIn(folder: string): BuiltBochs {
  return { path: join(folder, 'bochs'), bios: join(folder, 'bios.bin'), vgaBios: join(folder, 'vgabios.bin') };
}

/**
 * The Bochs of the cache, built first when it is not there.
 *
 * @throws InfrastructureError when it may not be built, or something of it fails.
 */
export async function ensureBochs(options: InstallOptions): Promise<BuiltBochs> {
  const folder = bochsFolder();
  if (existsSync(folder)) return bochsIn(folder);
  if (!options.install) {
    const command = hvipiCommand('lab', 'install', '--cpu', 'intel');
    throw new InfrastructureError(`Bochs is not in the cache, and installing is switched off; run: ${command}`);
  }
  const { say, signal } = options;
  await ensurePackages(buildPackages, options);
  await ensureFolder(join(cacheRoot(), 'bochs'));
  await withLock(join(cacheRoot(), 'bochs', 'lock'), say, async () => {
    if (existsSync(folder)) return;
    const startedAt = performance.now();
    await using work = await temporaryFolder('bochs');
    const source = await fetchSource(work.path, options);
    say(`building Bochs ${version} with ${bochsEdits.length} edits, once: some 5 minutes on one CPU`);
    await build(source, signal);
    const bioses = await fetchBioses(join(work.path, 'bioses'), options);
    await makeFolderAtOnce(folder, async (draft) => {
      const built = bochsIn(draft);
      await runTool('strip', ['-o', built.path, join(source, 'bochs')]);
      await copyFile(bioses.bios, built.bios);
      await copyFile(bioses.vgaBios, built.vgaBios);
    });
    say(`Bochs was built in ${Math.round((performance.now() - startedAt) / 1000)} s`);
  });
  return bochsIn(folder);
}

/** Returns the unpacked source, with the edits. */
async function fetchSource(work: string, { say, signal }: InstallOptions): Promise<string> {
  await ensureLists('fresh', { say, signal }, 'sources');
  const lists = listArguments('sources');
  const versions = await runTool('apt-cache', [...lists, 'showsrc', '--only-source', 'bochs']);
  const found = [...versions.matchAll(/^Version: (.*)$/gm)].map((match) => match[1]!);
  const wanted = found.find((each) => each.startsWith(`${version}+`));
  if (wanted === undefined) {
    throw new InfrastructureError(
      `${sourceSuite} has no source of Bochs ${version} (it has ${found.join(', ') || 'none'}); give --bochs`,
    );
  }
  say(`downloading the source of Bochs ${wanted} (4 MB)`);
  // The archive alone: the edits are ours, and Debian's own are about its packaging.
  await aptGet([...lists, 'source', '--download-only', '--tar-only', '--only-source', `bochs=${wanted}`], {
    cwd: work,
    signal,
  });
  const archive = (await readdir(work)).find((name) => name.includes('.orig.tar.'));
  if (archive === undefined) throw new InfrastructureError(`apt-get source fetched no archive of bochs ${wanted}`);
  const source = join(work, 'source');
  await ensureFolder(source);
  await runTool('tar', ['xf', join(work, archive), '-C', source, '--strip-components=1'], { signal });
  await editSource(source);
  return source;
}

async function editSource(source: string): Promise<void> {
  for (const edit of bochsEdits) {
    const path = join(source, edit.file);
    try {
      // As it lies there: names of people in comments are not always UTF-8.
      await writeFile(path, applyEdit(await readFile(path, 'latin1'), edit, edit.name), 'latin1');
    } catch (error) {
      if (!(error instanceof EditError)) throw error;
      throw new InfrastructureError(
        `this source of Bochs is not the one that the edits are for: ${error.message}; give --bochs`,
      );
    }
  }
}

async function build(source: string, signal: AbortSignal | undefined): Promise<void> {
  await runTool('./configure', configureArguments, { cwd: source, signal });
  await runTool('make', [`-j${availableParallelism()}`, 'bochs'], { cwd: source, signal });
}

async function fetchBioses(
  folder: string,
  { say, signal }: InstallOptions,
): Promise<{ bios: string; vgaBios: string }> {
  await ensureLists('fresh', { say, signal });
  const offers = (await versionsOf(biosPackages)).filter(({ suite }) => suite === sourceSuite);
  const packages = biosPackages.map((name) => {
    const offer = offers.find((each) => each.name === name);
    if (offer === undefined)
      throw new InfrastructureError(`${sourceSuite} has no package ${name}, which has the BIOS of Bochs`);
    return offer;
  });
  await ensureFolder(folder);
  const tree = await unpackPackages(packages, folder, signal);
  const share = join(tree, 'usr/share');
  return { bios: join(share, biosFiles.bios), vgaBios: join(share, biosFiles.vgaBios) };
}
