/** What a kernel under test is, so that another person can get the same: release, and hashes of image and modules. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { moduleNames } from '../build/kept-modules.ts';
import type { Kernel } from '../lab/kernel/kernels.ts';

export interface KernelIdentity {
  readonly spec: string;
  readonly release: string;
  /** SHA-256 of the bzImage. */
  readonly imageHash: string;
  /** Folder whose kvm*.ko were loaded instead of the kernel's own, or null. */
  readonly kvmModules: string | null;
  /** SHA-256 of each of them that is there. */
  readonly moduleHashes: Readonly<Record<string, string>>;
}

export function identify(kernel: Kernel, release: string, kvmModules: string | null): KernelIdentity {
  const folder = kvmModules ?? kernel.moduleDir;
  const moduleHashes = Object.fromEntries(
    (folder === null ? [] : [...moduleNames])
      .map((name) => [name, placesOf(folder!, name).find(existsSync)] as const)
      .flatMap(([name, path]) => (path === undefined ? [] : [[name, fileHash(path)]])),
  );
  return { spec: kernel.spec, release, imageHash: fileHash(kernel.bzImage), kvmModules, moduleHashes };
}

/** `6.12.117+deb12-amd64, bzImage 1f2e3d4c5b6a, kvm.ko 0a1b2c3d4e5f`: enough of each hash to tell two builds apart. */
export function formatIdentity(identity: KernelIdentity): string {
  const { release, imageHash } = identity;
  return [release, `bzImage ${imageHash.slice(0, 12)}`, ...formatModules(identity)].join(', ');
}

/** Each module with the start of its hash. */
export function formatModules({ moduleHashes }: KernelIdentity): string[] {
  return Object.entries(moduleHashes).map(([name, hash]) => `${name} ${hash.slice(0, 12)}`);
}

/** Whether both loaded the same modules, byte for byte. */
export function hasSameModules(left: KernelIdentity, right: KernelIdentity): boolean {
  return JSON.stringify(left.moduleHashes) === JSON.stringify(right.moduleHashes);
}

function placesOf(folder: string, name: string): string[] {
  return ['', 'arch/x86/kvm', 'kernel/arch/x86/kvm'].map((below) => join(folder, below, name));
}

function fileHash(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
