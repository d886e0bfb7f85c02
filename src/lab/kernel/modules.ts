/** Which kernel modules the lab loads, from where and in which order. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { UsageError } from '../../errors.ts';
import { compressions, readDecompressed } from './decompress.ts';

/** Those of the KVM under test. What is not found as a module is taken to be built in. */
const kvmModules = ['kvm_amd', 'kvm_intel'] as const;

/** Names what would be modules and is built in (Documentation/kbuild/kbuild.rst). */
export const builtinList = 'modules.builtin';

export interface Module {
  /** Module name, with underscores. */
  readonly name: string;
  /** File name in the lab, always uncompressed: `kvm-amd.ko`. */
  readonly file: string;
  readonly bytes: Buffer;
}

/** Modules in load order. */
export interface LabModules {
  /** Those without which the hand cannot be reached. */
  readonly channel: readonly Module[];
  /** The others: those of the KVM under test and what they need. */
  readonly kvm: readonly Module[];
}

/**
 * The modules that the lab needs.
 *
 * @param folder where the kernel's modules are (`lib/modules/RELEASE`, a build folder, or a folder of .ko files).
 * @param givenFolder folder whose kvm*.ko go before the kernel's own, or null.
 * @param channelModules names of those that the emulator's channel needs.
 * @throws UsageError when that has no kvm.ko, or when the kernel has no virtio.
 */
export async function collectModules(
  folder: string | null,
  givenFolder: string | null,
  busybox: string,
  channelModules: readonly string[],
): Promise<LabModules> {
  const given = givenFolder === null ? new Map<string, string>() : indexKvmModules(givenFolder);
  const own = folder === null ? new Map<string, string>() : indexModules(folder);
  // Of the given folder only kvm*.ko go before the kernel's own; what else it has fills gaps.
  const files = new Map([...given, ...own, ...[...given].filter(([name]) => name.startsWith('kvm'))]);
  const ordered = new Map<string, Module>();
  const visit = async (name: string): Promise<void> => {
    const path = files.get(name);
    if (path === undefined || ordered.has(name)) return;
    const bytes = await readDecompressed(path, busybox);
    for (const needed of dependsOf(bytes)) await visit(needed);
    ordered.set(name, { name, file: plainName(path), bytes });
  };
  if (folder !== null) checkChannel(folder, files, channelModules);
  for (const name of channelModules) await visit(name);
  const channelCount = ordered.size;
  for (const name of kvmModules) await visit(name);
  const modules = [...ordered.values()];
  return { channel: modules.slice(0, channelCount), kvm: modules.slice(channelCount) };
}

/** Where the kernel says what is built into it, what the lab is reached through must be a module or be in that list. */
function checkChannel(folder: string, files: ReadonlyMap<string, string>, channelModules: readonly string[]): void {
  const list = join(folder, builtinList);
  if (!existsSync(list)) return;
  const builtIn = new Set(readFileSync(list, 'utf8').split('\n').filter(Boolean).map(moduleName));
  const missing = channelModules.filter((name) => !files.has(name) && !builtIn.has(name));
  if (missing.length === 0) return;
  throw new UsageError(
    `${folder}: this kernel has no ${missing.join(' and no ')}, through which the lab is reached; ` +
      'install the package with its modules, or give --kernel another kernel',
  );
}

/** Module names that a module needs, from the `depends=` of its .modinfo section. */
export function dependsOf(bytes: Buffer): string[] {
  const mark = Buffer.from('\0depends=');
  const start = bytes.indexOf(mark);
  if (start < 0) return [];
  const end = bytes.indexOf(0, start + mark.length);
  const text = bytes.subarray(start + mark.length, end).toString('latin1');
  return text
    .split(',')
    .filter((name) => name !== '')
    .map(moduleName);
}

/** Module name to path. A build folder is too large to search, so it is asked for its list. */
function indexModules(folder: string): Map<string, string> {
  const list = join(folder, 'modules.order');
  if (!existsSync(list)) return indexFiles(folder);
  const lines = readFileSync(list, 'utf8').split('\n').filter(Boolean);
  const paths = lines.map((line) => findCompressed(join(folder, line.replace(/\.o$/, '.ko'))));
  return new Map(paths.filter((path) => path !== null).map((path) => [moduleName(path), path]));
}

function indexKvmModules(folder: string): Map<string, string> {
  const places = [folder, join(folder, 'arch/x86/kvm'), join(folder, 'kernel/arch/x86/kvm')];
  const place = places.find((candidate) => findCompressed(join(candidate, 'kvm.ko')) !== null);
  if (place === undefined) {
    throw new UsageError(`--kvm-modules ${folder}: no kvm.ko in this folder nor in its arch/x86/kvm`);
  }
  return indexFiles(place);
}

function indexFiles(folder: string): Map<string, string> {
  const names = readdirSync(folder).filter((name) => moduleFile.test(name));
  return new Map(names.map((name) => [moduleName(name), join(folder, name)]));
}

const moduleFile = /\.ko(?:\.(?:xz|gz|zst))?$/;

function findCompressed(path: string): string | null {
  return ['', ...compressions].map((suffix) => path + suffix).find((candidate) => existsSync(candidate)) ?? null;
}

function plainName(path: string): string {
  return basename(path).replace(/\.(?:xz|gz|zst)$/, '');
}

function moduleName(path: string): string {
  return plainName(path).replace(/\.ko$/, '').replaceAll('-', '_');
}

/** Whether modules of this folder are compressed with zstd; a kernel's are all alike. */
export function hasZstdModules(folder: string): boolean {
  return [...indexModules(folder).values()].some((path) => path.endsWith('.zst'));
}
