/**
 * Builds the lab's root file system: everything in one initramfs, so that the untrusted kernel sees nothing of the host.
 *
 * Measured (QEMU 7.2, TCG, 2 shared cores; from starting QEMU to the first line of JavaScript, Debian's 6.12): 3.2 to
 * 4.2 s with all of Node (99 MB) in an uncompressed initramfs, 3.8 to 4.1 s with the same folder as a 9p share. With the
 * Node binary stripped (86 MB) 3.5 s, with lz4 on top 3.4 s: no gain that can be told from noise. So: uncompressed,
 * unstripped, no share.
 *
 * The large part (Node, its libraries, busybox, koffi) is kept in the cache; the small one (modules of the channel, agent,
 * init script) is made at every start. The kernel unpacks archives that follow each other.
 */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from 'node:fs';
import { appendFile, copyFile, readdir, rm, writeFile, constants, stat } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { execa } from 'execa';
import { InfrastructureError } from '../../errors.ts';
import { cacheRoot, makeFolderAtOnce } from '../../system/cache.ts';
import { cpioArchive, type CpioEntry } from './cpio.ts';
import { withFileErrors } from '../../system/file-errors.ts';
import { guestPaths, initScript } from './init-script.ts';
import type { Module } from '../kernel/modules.ts';
import { findProgram } from '../../system/tools.ts';

export interface Initramfs {
  /** Text that is equal when what is written is. */
  readonly key: string;
  /** Writes it to this path. @throws InfrastructureError when the disk is full. */
  readonly write: (target: string) => Promise<void>;
}

/** Raise it when what is in the cached part changes without its inputs changing. */
const runtimeFormat = 1;
/** Cached runtime parts that were not used for so long are deleted. */
const unusedDaysMax = 14;

/**
 * Makes everything that goes into the initramfs.
 *
 * @param busybox path of the host's busybox.
 * @param modules those that the init script loads, in load order.
 */
export async function prepareInitramfs(busybox: string, modules: readonly Module[]): Promise<Initramfs> {
  const [runtime, agent] = await Promise.all([cachedRuntime(busybox), bundleAgent()]);
  const init = Buffer.from(initScript(modules.map(({ file }) => file)));
  const own = cpioArchive([
    { kind: 'file', path: 'init', executable: true, bytes: init },
    { kind: 'file', path: guestPaths.agent, executable: false, bytes: agent },
    ...modules.map(({ file, bytes }): CpioEntry => {
      return { kind: 'file', path: `${guestPaths.modules}/${file}`, executable: false, bytes };
    }),
  ]);
  const write = async (target: string): Promise<void> =>
    withFileErrors(target, async () => {
      await copyFile(runtime, target, constants.COPYFILE_FICLONE);
      await appendFile(target, own);
    });
  return { key: createHash('sha256').update(runtime).update(own).digest('hex'), write };
}

/** The agent and everything of ours that it imports, as one file. */
async function bundleAgent(): Promise<Buffer> {
  // Beside this file, which is TypeScript in a checkout and JavaScript in a build.
  const entry = fileURLToPath(
    new URL(import.meta.url.endsWith('.ts') ? '../agent.ts' : '../agent.js', import.meta.url),
  );
  const options = { bundle: true, write: false, platform: 'node', format: 'esm', target: 'node20' } as const;
  const { outputFiles } = await build({ ...options, entryPoints: [entry], external: ['koffi'], logLevel: 'silent' });
  return Buffer.from(outputFiles[0]!.contents);
}

/** A file of the host and its place in the lab. */
interface HostFile {
  readonly from: string;
  readonly path: string;
}

/** Path of the archive with what does not depend on kernel and agent. */
async function cachedRuntime(busybox: string): Promise<string> {
  const files = await runtimeFiles(busybox);
  const stamps = files.map(({ from, path }) => {
    const { size, mtimeMs } = statSync(from);
    return [from, path, size, mtimeMs];
  });
  const key = createHash('sha256')
    .update(JSON.stringify([runtimeFormat, stamps]))
    .digest('hex')
    .slice(0, 16);
  const root = join(cacheRoot(), 'initramfs');
  const archive = join(root, key, 'runtime.cpio');
  if (!existsSync(archive)) {
    const links = await appletLinks(busybox);
    await makeFolderAtOnce(dirname(archive), async (folder) => {
      await writeFile(join(folder, 'runtime.cpio'), runtimeArchive(files, links));
    });
    await deleteUnused(root, key);
  }
  return archive;
}

function runtimeArchive(files: readonly HostFile[], links: readonly CpioEntry[]): Buffer {
  const folders = ['proc', 'sys', 'dev', 'tmp', 'root', 'etc'].map((path): CpioEntry => ({ kind: 'folder', path }));
  return cpioArchive([
    ...folders,
    // The kernel opens it for init before devtmpfs is mounted.
    { kind: 'character-device', path: 'dev/console', major: 5, minor: 1 },
    ...links,
    ...files.map(({ from, path }): CpioEntry => {
      return { kind: 'file', path, executable: true, bytes: readFileSync(from) };
    }),
  ]);
}

async function runtimeFiles(busybox: string): Promise<HostFile[]> {
  const koffi = koffiFiles();
  const programs: HostFile[] = [
    { from: busybox, path: 'bin/busybox' },
    { from: process.execPath, path: guestPaths.node },
    ...koffi,
  ];
  const binaries = programs.filter(({ path }) => !/\.(?:c?js|json)$/.test(path));
  const libraries = await Promise.all(binaries.map(({ from }) => librariesOf(from)));
  const unique = new Map([...programs, ...libraries.flat()].map((file) => [file.path, file]));
  return [...unique.values()];
}

/** The shared libraries of a program, at the same paths as on the host. */
async function librariesOf(program: string): Promise<HostFile[]> {
  const ldd = findProgram('ldd');
  if (ldd === null) throw new InfrastructureError('ldd not found (Debian package: libc-bin)');
  // It fails for a static program, which needs nothing.
  const { stdout } = await execa(ldd, [program], { reject: false });
  const missing = /^\s*(\S+) => not found/m.exec(stdout)?.[1];
  if (missing !== undefined) throw new InfrastructureError(`${program} needs ${missing}, which is not installed`);
  const paths = [...stdout.matchAll(/(?:^|\s)(\/\S+) \(0x/gm)].map((match) => match[1]!);
  return paths.map((path) => ({ from: realpathSync(path), path: path.slice(1) }));
}

/** koffi's JavaScript and its binary for this kind of computer, out of node_modules. */
function koffiFiles(): HostFile[] {
  const koffi = dirname(createRequire(import.meta.url).resolve('koffi'));
  const binary = dirname(createRequire(join(koffi, 'index.js')).resolve('@koromix/koffi-linux-x64'));
  return [
    // Not lib/ and vendor/, which are for compiling it.
    ...filesBelow(koffi, /^(?:[^/]+|src\/.*)\.(?:c?js|json)$/, 'koffi'),
    ...filesBelow(binary, /^(?:[^/]+|linux_x64\/.*)\.(?:js|json|node)$/, '@koromix/koffi-linux-x64'),
  ];
}

function filesBelow(root: string, wanted: RegExp, name: string): HostFile[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => wanted.test(path))
    .sort()
    .map((path) => ({ from: join(root, path), path: `${guestPaths.nodeModules}/${name}/${path}` }));
}

/** A link to busybox for each of its commands. */
async function appletLinks(busybox: string): Promise<CpioEntry[]> {
  const { stdout } = await execa(busybox, ['--list']);
  const names = stdout.split('\n').filter((name) => /^[\w.-]+$/.test(name) && name !== 'busybox');
  return names.map((name) => ({ kind: 'link', path: `bin/${name}`, to: 'busybox' }));
}

async function deleteUnused(root: string, usedKey: string): Promise<void> {
  const oldest = Date.now() - unusedDaysMax * 24 * 3600 * 1000;
  for (const name of await readdir(root)) {
    if (name === usedKey) continue;
    const { mtimeMs } = await stat(join(root, name)).catch(() => ({ mtimeMs: Infinity }));
    if (mtimeMs < oldest) await rm(join(root, name), { recursive: true, force: true });
  }
}
