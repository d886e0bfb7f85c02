/** QEMU as an emulator. */
import { symlink } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { execa } from 'execa';
import { InfrastructureError } from '../../errors.ts';
import { findProgram } from '../../system/packages/tools.ts';
import { withFileErrors } from '../../system/file-errors.ts';
import { type Emulator, type EmulatorControl, emulatorTitles, type Wiring } from './emulator.ts';
import { devicesFile, loadDevices, saveDevices } from './migration.ts';
import { qemuArguments, qemuChannelModules, sockets } from './qemu.ts';
import { Qmp } from './qmp.ts';

/** A unix socket's path has 108 bytes, the last of them 0 (unix(7)). */
const socketPathMax = 107;

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
    channelModules: qemuChannelModules,
    isBusyWhenIdle: false,
    environment: {},
    arguments: qemuArguments,
    shape: (computer) => JSON.stringify(qemuArguments({ ...anyState, ...computer })),
    prepare: (folder, { state }, listener) => prepare(folder, state, (bytes) => listener.received(bytes)),
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

const anyState = {
  initrd: null,
  state: '',
  memory: { path: '', isWritten: false },
  hasChannel: true,
} as const;

/** Listens to the two sockets to which QEMU connects. */
async function prepare(folder: string, state: string | null, received: (bytes: Buffer) => void): Promise<Wiring> {
  if (state !== null) await symlink(state, join(folder, devicesFile));
  const servers: Server[] = [];
  const close = (): void => {
    for (const server of servers) server.close();
  };
  try {
    const [agentServer, controlServer] = [
      await listen(join(folder, sockets.agent), servers),
      await listen(join(folder, sockets.control), servers),
    ];
    let agent: Socket | null = null;
    agentServer.on('connection', (socket) => {
      agent = socket;
      socket.on('data', received).on('error', () => undefined);
    });
    const control = new Promise<EmulatorControl>((resolve) =>
      controlServer.once('connection', (socket) => resolve(controlOf(socket, folder))),
    );
    return {
      send: (bytes) => void agent?.write(bytes),
      expect: () => undefined,
      control,
      ended: () => undefined,
      close: () => {
        agent?.destroy();
        close();
      },
    };
  } catch (error) {
    close();
    throw error;
  }
}

async function listen(path: string, servers: Server[]): Promise<Server> {
  if (Buffer.byteLength(path) > socketPathMax) {
    throw new InfrastructureError(`${path}: too long for a socket; set TMPDIR to a shorter folder`);
  }
  const server = createServer();
  servers.push(server);
  await withFileErrors(path, () => {
    return new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(path, () => resolve());
    });
  });
  return server;
}

function controlOf(socket: Socket, folder: string): EmulatorControl {
  const qmp = new Qmp(socket);
  return {
    sendNmi: async () => void (await qmp.execute('inject-nmi')),
    save: async (path) => {
      await symlink(path, join(folder, devicesFile));
      await saveDevices(qmp);
    },
    load: () => loadDevices(qmp),
  };
}
