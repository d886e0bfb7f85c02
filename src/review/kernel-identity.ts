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
  /**
   * The same but for the build ID, which is a hash of debug information too: another word in the source may change that and no
   * instruction.
   */
  readonly codeHashes: Readonly<Record<string, string>>;
}

export function identify(kernel: Kernel, release: string, kvmModules: string | null): KernelIdentity {
  const folder = kvmModules ?? kernel.moduleDir;
  const modules = (folder === null ? [] : [...moduleNames]).flatMap((name) => {
    const path = placesOf(folder!, name).find(existsSync);
    return path === undefined ? [] : [{ name, bytes: readFileSync(path) }];
  });
  const hashes = (hash: (bytes: Buffer) => string) =>
    Object.fromEntries(modules.map(({ name, bytes }) => [name, hash(bytes)]));
  return {
    spec: kernel.spec,
    release,
    imageHash: hashOf(readFileSync(kernel.bzImage)),
    kvmModules,
    moduleHashes: hashes(hashOf),
    codeHashes: hashes((bytes) => hashOf(withoutBuildId(bytes))),
  };
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

/** Whether both loaded the same modules: byte for byte, or but for the build ID; null where they are others. */
export function sameModules(left: KernelIdentity, right: KernelIdentity): 'bytes' | 'code' | null {
  const isSame = (hashes: 'moduleHashes' | 'codeHashes') =>
    JSON.stringify(left[hashes]) === JSON.stringify(right[hashes]);
  if (isSame('moduleHashes')) return 'bytes';
  return isSame('codeHashes') ? 'code' : null;
}

function placesOf(folder: string, name: string): string[] {
  return ['', 'arch/x86/kvm', 'kernel/arch/x86/kvm'].map((below) => join(folder, below, name));
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Head of an ELF note with a build ID: name of 4 bytes, description of 20, NT_GNU_BUILD_ID, "GNU" (elf(5)). */
const buildIdHead = Buffer.from('040000001400000003000000474e5500', 'hex');
const buildIdBytes = 20;

/** A module with zeros for its build ID. */
export function withoutBuildId(module: Buffer): Buffer {
  const at = module.indexOf(buildIdHead);
  if (at === -1) return module;
  const start = at + buildIdHead.length;
  return Buffer.from(module).fill(0, start, start + buildIdBytes);
}
