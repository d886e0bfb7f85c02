/** Programs that the lab needs on the host, and the packages that have them. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { may } from '../access.ts';
import type { Distribution, Family } from './distribution.ts';

interface Tool {
  /** Packages that bring it, by distribution. */
  readonly packages: Readonly<Record<Exclude<Family, 'other'>, readonly string[]>>;
  /** Files of which one has to be there besides the program. */
  readonly files?: readonly string[];
}

/** busybox also decompresses .xz, so nothing else is needed for modules. The compiler builds a static program. */
export const neededTools = {
  'qemu-system-x86_64': {
    packages: { debian: ['qemu-system-x86'], fedora: ['qemu-system-x86-core'], arch: ['qemu-system-x86'] },
  },
  busybox: { packages: { debian: ['busybox-static'], fedora: ['busybox'], arch: ['busybox'] } },
  gcc: {
    packages: { debian: ['gcc', 'libc6-dev'], fedora: ['gcc', 'glibc-static'], arch: ['gcc'] },
    files: ['/usr/lib/x86_64-linux-gnu/libc.a', '/usr/lib64/libc.a', '/usr/lib/libc.a'],
  },
} as const satisfies Record<string, Tool>;
export type ToolName = keyof typeof neededTools;
export type Tools = Readonly<Record<ToolName, string>>;

/** Needed for single kernels only: their modules are .zst, and Node decompresses that from 22.15 on. */
export const zstdTool: Tool = { packages: { debian: ['zstd'], fedora: ['zstd'], arch: ['zstd'] } };

/** Path of a program, also from the folders that a plain user's PATH may lack; null when there is none. */
export function findProgram(name: string, path: string = process.env['PATH'] ?? ''): string | null {
  const folders = [...path.split(delimiter), '/usr/bin', '/bin', '/usr/sbin', '/sbin'].filter(Boolean);
  return folders.map((folder) => join(folder, name)).find((file) => may('execute', file)) ?? null;
}

export function missingTools(): ToolName[] {
  return (Object.keys(neededTools) as ToolName[]).filter((name) => !isThere(name, neededTools[name]));
}

/** Whether a tool can be used: its program, and what that needs. */
export function isThere(name: string, { files }: Tool): boolean {
  return findProgram(name) !== null && (files === undefined || files.some((file) => existsSync(file)));
}

/** Packages of the tools, as that distribution calls them; Debian's names for one that is not known. */
export function packagesOf(tools: readonly Tool[], { family }: Distribution): string[] {
  return [...new Set(tools.flatMap(({ packages }) => packages[family === 'other' ? 'debian' : family]))];
}

/** The command that installs packages, as a person types it; null where it is not known. */
export function installCommand(packages: readonly string[], { family }: Distribution, isRoot: boolean): string | null {
  const names = packages.join(' ');
  // A minimal system has no sudo, and whoever is root needs none.
  const as = isRoot ? '' : 'sudo ';
  switch (family) {
    case 'debian':
      return `${as}apt-get update && ${as}apt-get install -y --no-install-recommends ${names}`;
    case 'fedora':
      return `${as}dnf install -y ${names}`;
    case 'arch':
      return `${as}pacman -S --needed ${names}`;
    case 'other':
      return null;
  }
}
