/** QEMU as an emulator. */
import type { Socket } from 'node:net';
import { execa } from 'execa';
import { InfrastructureError } from '../../errors.ts';
import { findProgram } from '../../system/tools.ts';
import { type Emulator, type EmulatorControl, emulatorTitles } from './emulator.ts';
import { loadDevices, saveDevices } from './migration.ts';
import { qemuArguments } from './qemu.ts';
import { Qmp } from './qmp.ts';

const versions = new Map<string, Promise<string>>();

/**
 * The QEMU at a path; its version is asked for once.
 *
 * @throws InfrastructureError when it does not tell.
 */
export async function qemuAt(path: string): Promise<Emulator> {
  let version = versions.get(path);
  if (version === undefined) {
    version = askVersion(path);
    versions.set(path, version);
  }
  return {
    name: 'qemu',
    title: emulatorTitles.qemu,
    path,
    version: await version,
    arguments: qemuArguments,
    control: (socket) => controlOf(socket),
  };
}

/** `QEMU 7.2.22 (TCG)`, for reports. */
export async function qemuText(): Promise<string> {
  const path = findProgram('qemu-system-x86_64');
  return path === null ? 'QEMU (not found)' : `QEMU ${(await qemuAt(path)).version} (TCG)`;
}

/** `7.2.22` of the first line that `--version` prints; null for something else. */
export function versionOfText(text: string): string | null {
  return /^QEMU emulator version (\d+\.\d+(?:\.\d+)?)/.exec(text)?.[1] ?? null;
}

async function askVersion(path: string): Promise<string> {
  const { stdout } = await execa(path, ['--version'], { reject: false });
  const version = versionOfText(stdout ?? '');
  if (version === null) throw new InfrastructureError(`${path} does not tell its version; run it with --version`);
  return version;
}

function controlOf(socket: Socket): EmulatorControl {
  const qmp = new Qmp(socket);
  return {
    sendNmi: async () => void (await qmp.execute('inject-nmi')),
    save: () => saveDevices(qmp),
    load: () => loadDevices(qmp),
  };
}
