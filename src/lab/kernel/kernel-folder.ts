/** Where a distribution puts a kernel's image and modules, and which of it the cache keeps. */
import { existsSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InfrastructureError, UsageError } from '../../errors.ts';
import { findProgram } from '../../system/packages/tools.ts';
import { qemuChannelModules } from '../emulator/qemu.ts';
import { builtinList, collectModules } from './modules.ts';

/** Folders of modules below the root folder; from 7.2 on Debian's packages are laid out for a merged /usr. */
const modulePlaces = ['lib/modules', 'usr/lib/modules'];

export interface KernelPlace {
  readonly bzImage: string;
  /** Null when there are no modules. */
  readonly moduleDir: string | null;
}

/** Image and modules of a release below a root folder (`/`, or an unpacked package); null when there is no image. */
export function findKernel(root: string, release: string): KernelPlace | null {
  const folders = modulePlaces.map((place) => join(root, place, release)).filter((folder) => existsSync(folder));
  const images = [join(root, 'boot', `vmlinuz-${release}`), ...folders.map((folder) => join(folder, 'vmlinuz'))];
  const bzImage = images.find((image) => existsSync(image));
  if (bzImage === undefined) return null;
  const moduleDir = folders.find((folder) => existsSync(join(folder, 'modules.order'))) ?? folders[0] ?? null;
  return { bzImage, moduleDir };
}

/**
 * Copies what the lab needs of an unpacked kernel.
 *
 * @throws InfrastructureError when the image is not there.
 */
export async function keepKernel(tree: string, release: string, folder: string, spec: string): Promise<void> {
  const place = findKernel(tree, release);
  if (place === null) {
    throw new InfrastructureError(`${spec}: its packages have no vmlinuz of ${release}; give --kernel another series`);
  }
  const busybox = findProgram('busybox') ?? 'busybox';
  const { channel, kvm } = await collectModules(place.moduleDir, null, busybox, qemuChannelModules).catch(
    (error: unknown) => {
      // The folder is one that is about to go away.
      if (!(error instanceof UsageError)) throw error;
      throw new UsageError(error.message.replace(`${place.moduleDir}`, `--kernel ${spec} (${release})`));
    },
  );
  await copyFile(place.bzImage, join(folder, 'vmlinuz'));
  await mkdir(join(folder, 'modules'));
  for (const { file, bytes } of [...channel, ...kvm]) await writeFile(join(folder, 'modules', file), bytes);
  const builtin = place.moduleDir === null ? null : join(place.moduleDir, builtinList);
  if (builtin !== null && existsSync(builtin)) await copyFile(builtin, join(folder, 'modules', builtinList));
}
