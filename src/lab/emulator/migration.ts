/**
 * The state of a computer, out of QEMU into a file and back, as a migration that never arrives anywhere. The memory is no
 * part of it: it lies in a file of its own, which the loading side maps privately ("x-ignore-shared" in QEMU's migration
 * documentation).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { InfrastructureError } from '../../errors.ts';
import type { Qmp } from './qmp.ts';

/** A link in QEMU's working folder: the shell of `exec:` sees its name, and no path that it could misread. */
export const devicesFile = 'devices';
const memoryStays = { capabilities: [{ capability: 'x-ignore-shared', state: true }] };
const pollMs = 5;
const migrationMsMax = 20_000;

/**
 * Stops the computer, saves its devices and ends QEMU.
 *
 * @throws InfrastructureError when QEMU cannot.
 */
export async function saveDevices(qmp: Qmp): Promise<void> {
  await qmp.execute('stop');
  await qmp.execute('migrate-set-capabilities', memoryStays);
  await qmp.execute('migrate', { uri: `exec:cat > ${devicesFile}` });
  await migrated(qmp);
  await qmp.execute('quit');
}

/**
 * Loads devices into a QEMU that waits for them, and lets the computer go on.
 *
 * @throws InfrastructureError when QEMU cannot.
 */
export async function loadDevices(qmp: Qmp): Promise<void> {
  await qmp.execute('migrate-set-capabilities', memoryStays);
  await qmp.execute('migrate-incoming', { uri: `exec:cat ${devicesFile}` });
  await migrated(qmp);
  await qmp.execute('cont');
}

async function migrated(qmp: Qmp): Promise<void> {
  for (let waitedMs = 0; waitedMs < migrationMsMax; waitedMs += pollMs) {
    const { status, ...more } = (await qmp.execute('query-migrate')) as { status?: string; 'error-desc'?: string };
    if (status === 'completed') return;
    if (status === 'failed')
      throw new InfrastructureError(`QEMU cannot move the state: ${more['error-desc'] ?? status}`);
    await sleep(pollMs);
  }
  throw new InfrastructureError(`QEMU did not move the state in ${migrationMsMax / 1000} s`);
}
