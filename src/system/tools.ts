/** Programs that the lab needs on the host, and the Debian packages that have them. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Program to package. busybox also decompresses .xz, so nothing else is needed. */
export const neededTools = { 'qemu-system-x86_64': 'qemu-system-x86', busybox: 'busybox-static' } as const;
export type ToolName = keyof typeof neededTools;
export type Tools = Readonly<Record<ToolName, string>>;

/** Path of a program, also from the folders that a plain user's PATH may lack; null when there is none. */
export function findProgram(name: string, path: string = process.env['PATH'] ?? ''): string | null {
  const folders = [...path.split(delimiter), '/usr/bin', '/bin', '/usr/sbin', '/sbin'].filter(Boolean);
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

export function missingTools(): ToolName[] {
  return (Object.keys(neededTools) as ToolName[]).filter((name) => findProgram(name) === null);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
