/** From what `--kernel` says to a kernel that can be booted. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { UsageError } from '../../errors.ts';
import { type Distribution, thisDistribution } from '../../system/packages/distribution.ts';
import { ensureZstd, type InstallOptions } from '../install.ts';
import { debianKernel, debianSeries } from './debian-kernel.ts';
import { needsZstd } from './decompress.ts';
import { hasZstdModules } from './modules.ts';
import { runningKernel, runningSpec } from './running-kernel.ts';

export interface Kernel {
  /** As it was asked for. */
  readonly spec: string;
  readonly bzImage: string;
  /** Where its modules are; null when all that is needed must be built in. */
  readonly moduleDir: string | null;
  /** `uname -r`, from the image; null when the image does not tell. */
  readonly release: string | null;
}

export const kernelSpecHelp =
  'debian:6.12 or another series, debian:newest, running, a bzImage, or a kernel build folder';

/** Where Debian's kernels are not to be had the computer's own has to do. */
export function defaultKernelOf({ family, id }: Distribution): string {
  // Debian 12 and 13 both have 6.12, Debian 12 among its security updates. Ubuntu has mirrors of its own only.
  return family === 'debian' && id !== 'ubuntu' ? 'debian:6.12' : runningSpec;
}

/** What `--kernel` is when it is not given. */
export const defaultKernel = defaultKernelOf(thisDistribution());

/**
 * Finds the kernel of a spec. A Debian kernel comes from the cache when there is one, so that a start needs no network.
 *
 * @throws UsageError for a spec that names nothing, InfrastructureError when a Debian kernel cannot be had.
 */
export async function resolveKernel(spec: string, options: InstallOptions): Promise<Kernel> {
  const kernel = await findSpec(spec, options);
  if (kernel.moduleDir !== null && needsZstd() && hasZstdModules(kernel.moduleDir)) await ensureZstd(options);
  return kernel;
}

async function findSpec(spec: string, options: InstallOptions): Promise<Kernel> {
  if (debianSeries(spec) !== null) return { ...(await debianKernel(spec, options)), spec };
  if (spec === runningSpec) return { ...runningKernel(), spec };
  if (!existsSync(spec)) {
    throw new UsageError(`--kernel ${spec}: neither a known kernel nor a path; accepted are ${kernelSpecHelp}`);
  }
  return statSync(spec).isDirectory() ? buildFolderKernel(spec) : imageKernel(spec, resolve(spec));
}

function buildFolderKernel(spec: string): Kernel {
  const bzImage = resolve(spec, 'arch/x86/boot/bzImage');
  if (!existsSync(bzImage)) {
    throw new UsageError(`--kernel ${spec}: no arch/x86/boot/bzImage in this folder; accepted are ${kernelSpecHelp}`);
  }
  return imageKernel(spec, bzImage);
}

/** A bzImage in a file of its own, in a build folder, or beside `lib/modules` as distributions lay it out. */
function imageKernel(spec: string, bzImage: string): Kernel {
  const release = releaseOfImage(bzImage);
  if (release === null) {
    throw new UsageError(`--kernel ${spec}: ${bzImage} is not a bzImage; accepted are ${kernelSpecHelp}`);
  }
  const places = [
    // `/lib/modules/REL/vmlinuz` lies among its modules.
    dirname(bzImage),
    ...(release === ''
      ? []
      : ['../lib/modules', '../usr/lib/modules'].map((place) => join(dirname(bzImage), place, release))),
    ...(bzImage.endsWith('/arch/x86/boot/bzImage') ? [join(dirname(bzImage), '../../..')] : []),
  ];
  const moduleDir = places.find((place) => existsSync(join(place, 'modules.order'))) ?? null;
  return { spec, bzImage, moduleDir, release: release === '' ? null : release };
}

/**
 * The release that an image names: "" when it names none, null when it is no bzImage
 * (Linux, Documentation/arch/x86/boot.rst: magic at 0x202, offset of the version text at 0x20e).
 */
export function releaseOfImage(path: string): string | null {
  const bytes = readFileSync(path);
  if (bytes.length < 0x210 || bytes.toString('latin1', 0x202, 0x206) !== 'HdrS') return null;
  const offset = bytes.readUInt16LE(0x20e);
  if (offset === 0) return '';
  const text = bytes.toString('latin1', offset + 0x200, offset + 0x200 + 128);
  return text.split(/[ \0]/)[0]!;
}
