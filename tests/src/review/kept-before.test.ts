import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { type CountedModules, countedFile, formatCounted, readCounted } from '../../../src/counts/counted-folder.ts';
import { KeptBefore } from '../../../src/review/kept-before.ts';
import { findProgram } from '../../../src/system/packages/tools.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

const counters = {
  file: 'a.c',
  name: 'f',
  section: '.bss',
  offset: 8,
  count: 2,
  ident: 1,
  lineChecksum: 2,
  cfgChecksum: 3,
};
let root: string;
let counted: CountedModules;
beforeEach(() => {
  root = temporaryFolder();
  const folder = join(root, 'modules-gcov');
  const notes = [{ object: 'arch/x86/kvm/a', note: Buffer.from([0, 255, 10]) }];
  counted = { folder, modules: [{ name: 'kvm', counters: [counters] }], notes, tree: '/tree', realTree: '/real/tree' };
  for (const name of ['modules', 'modules-gcov']) mkdirSync(join(root, name));
  writeFileSync(join(folder, countedFile), formatCounted(counted));
});

describe('readCounted', () => {
  it('should read what was written, and nothing from modules that do not count', async () => {
    expect(await readCounted(counted.folder)).toEqual(counted);
    expect(await readCounted(join(root, 'modules'))).toBeNull();
  });

  it('should name a file that is damaged', async () => {
    writeFileSync(join(counted.folder, countedFile), '{"modules":');
    await expect(readCounted(counted.folder)).rejects.toThrow(`${countedFile}: is damaged`);
  });
});

describe.skipIf(findProgram('gcc') === null)('KeptBefore, where gcc is installed', () => {
  const source = () => ({ tree: join(root, 'linux'), release: '7.3.4' });
  const before = () => ({ modules: join(root, 'modules'), counted });

  it('should give back what was kept for the same objects alone', async () => {
    await (await KeptBefore.of(source(), ['arch/x86/kvm/a'])).write(before());

    expect(await (await KeptBefore.of(source(), ['arch/x86/kvm/a'])).read()).toEqual(before());
    expect(await (await KeptBefore.of(source(), ['arch/x86/kvm/b'])).read()).toBeNull();
    expect(await (await KeptBefore.of({ ...source(), release: '7.3.5' }, ['arch/x86/kvm/a'])).read()).toBeNull();
  });

  it('should give nothing whose modules are gone', async () => {
    const kept = await KeptBefore.of(source(), []);
    await kept.write({ ...before(), counted: null });
    expect(await kept.read()).toEqual({ ...before(), counted: null });
    await kept.write(before());
    rmSync(counted.folder, { recursive: true });
    expect(await kept.read()).toBeNull();
  });
});
