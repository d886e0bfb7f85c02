import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { Workshop } from '../../../src/build/workshop.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

let folder: string;
let tree: string;
beforeEach(async () => {
  folder = temporaryFolder();
  tree = join(folder, 'linux');
  await mkdir(tree);
});

/** A tree with a change in it, and what a build that was killed has put aside. */
async function leaveBehind(): Promise<void> {
  await writeFile(join(tree, 'a.c'), 'changed');
  await writeFile(join(tree, 'new.c'), 'new');
  await mkdir(`${tree}.aside/files`, { recursive: true });
  await writeFile(`${tree}.aside/files/a.c`, 'as it was');
  const kept = [
    { path: 'a.c', existed: true },
    { path: 'new.c', existed: false },
  ];
  await writeFile(`${tree}.aside/list.json`, JSON.stringify(kept));
}

describe('Workshop', () => {
  it('should undo what a killed build has left, before anybody works on the source', async () => {
    await leaveBehind();
    const workshop = new Workshop({ tree, release: '6.12' }, () => undefined);

    const text = await workshop.whilePristine(() => readFile(join(tree, 'a.c'), 'utf8'));

    expect(text).toBe('as it was');
    expect(existsSync(join(tree, 'new.c'))).toBe(false);
    expect(existsSync(`${tree}.aside`)).toBe(false);
  });

  it('should take over the lock of a process that has died, and give it back', async () => {
    const noProcess = 2 ** 22 + 1;
    await writeFile(`${tree}.lock`, `${noProcess}\n`);
    const said: string[] = [];
    const workshop = new Workshop({ tree, release: '6.12' }, (line) => said.push(line));

    await workshop.whilePristine(() => Promise.resolve());

    expect(existsSync(`${tree}.lock`)).toBe(false);
    expect(said.every((line) => line.startsWith('waiting for another hvipi'))).toBe(true);
  });

  it('should restore the source when a change fails', async () => {
    await writeFile(join(tree, 'a.c'), 'as it was');
    const workshop = new Workshop({ tree, release: '6.12' }, () => undefined);
    const make = async (): Promise<void> => {
      await writeFile(join(tree, 'a.c'), 'changed');
      throw new Error('no');
    };

    await expect(workshop.build({ files: ['a.c'], make })).rejects.toThrow('no');

    expect(await readFile(join(tree, 'a.c'), 'utf8')).toBe('as it was');
  });
});
