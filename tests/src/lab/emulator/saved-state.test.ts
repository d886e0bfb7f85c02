import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { makeState, stateFolder, useState } from '../../../../src/lab/emulator/saved-state.ts';
import { temporaryFolder } from '../../../temporary-folder.ts';

let cache: string;
beforeEach(() => {
  cache = temporaryFolder();
  vi.stubEnv('HVIPI_CACHE', cache);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe('stateFolder', () => {
  it('should change with the emulator, the kernel, the number of CPUs, the initramfs and what is loaded', () => {
    const [qemu, bzImage] = [join(cache, 'qemu'), join(cache, 'bzImage')];
    for (const path of [qemu, bzImage]) writeFileSync(path, 'x');
    const emulator = { path: qemu, shape: ({ cpus }: { cpus: number }) => `${cpus} CPUs` };
    const parts = { emulator, bzImage, cpus: 1, initramfsKey: 'a', modules: [] } as const;
    const folders = [stateFolder(parts), stateFolder(parts), stateFolder({ ...parts, initramfsKey: 'b' })];
    folders.push(stateFolder({ ...parts, cpus: 2 }));
    for (const text of ['one', 'two']) {
      folders.push(stateFolder({ ...parts, modules: [{ file: 'kvm.ko', bytes: Buffer.from(text) }] }));
    }
    writeFileSync(bzImage, 'another');
    folders.push(stateFolder(parts));
    writeFileSync(qemu, 'another');
    folders.push(stateFolder(parts));
    expect(folders[1]).toBe(folders[0]);
    expect(new Set(folders).size).toBe(7);
  });
});

describe('makeState', () => {
  it('should keep the eight that were used last', async () => {
    const folder = (name: number): string => join(cache, 'states', `${name}`);
    for (let name = 0; name < 8; name++) {
      await makeState(folder(name), async ({ memory }) => writeFileSync(memory, ''));
      utimesSync(folder(name), name, name);
    }
    expect(await useState(folder(0))).toBe(true);
    await makeState(folder(8), async () => undefined);
    expect(readdirSync(join(cache, 'states')).sort()).toEqual(['0', '2', '3', '4', '5', '6', '7', '8']);
    expect(await useState(folder(1))).toBe(false);
  });

  it('should leave nothing of one that failed', async () => {
    const failing = makeState(join(cache, 'states', 'x'), async ({ memory }) => {
      writeFileSync(memory, '');
      throw new Error('no');
    });
    await expect(failing).rejects.toThrow('no');
    expect(existsSync(join(cache, 'states', 'x'))).toBe(false);
    expect(readdirSync(join(cache, 'states'))).toEqual([]);
  });
});
