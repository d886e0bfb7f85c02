/** `--kernel running`: image and modules of the kernel that this computer runs, as its distribution installed them. */
import { readdirSync } from 'node:fs';
import { release as runningRelease } from 'node:os';
import { InfrastructureError } from '../../errors.ts';
import { may } from '../../system/access.ts';
import { findKernel, type KernelPlace } from './kernel-folder.ts';

export const runningSpec = 'running';

/**
 * The running kernel's image and modules.
 *
 * @throws InfrastructureError when they are not on this computer, as in a container, or may not be read.
 */
export function runningKernel(root = '/', release = runningRelease()): KernelPlace & { readonly release: string } {
  const place = findKernel(root, release);
  if (place === null) {
    const others = installedReleases(root);
    const more = others.length === 0 ? '' : ` (there are ${others.join(', ')})`;
    throw new InfrastructureError(
      `--kernel running: this computer runs ${release} and has neither /boot/vmlinuz-${release} nor ` +
        `/lib/modules/${release}/vmlinuz${more}; give --kernel debian:6.12, a bzImage or a kernel build folder`,
    );
  }
  if (!may('read', place.bzImage)) {
    // Ubuntu's images are for root alone.
    throw new InfrastructureError(
      `--kernel running: ${place.bzImage} may be read by root only; type: sudo chmod a+r ${place.bzImage}`,
    );
  }
  if (place.moduleDir === null) {
    throw new InfrastructureError(
      `--kernel running: ${place.bzImage} is here, but not /lib/modules/${release}; install the package with its modules`,
    );
  }
  return { ...place, release };
}

/** Releases whose image is in /boot: after an update without a reboot, another one than what runs. */
function installedReleases(root: string): string[] {
  try {
    return readdirSync(`${root}/boot`).flatMap((name) => /^vmlinuz-(.+)$/.exec(name)?.[1] ?? []);
  } catch {
    return [];
  }
}
