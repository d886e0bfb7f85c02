import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, describe, it } from 'vitest';
import { compilerDiffers, compilerVersion, majorOf } from '../../../src/build/compiler.ts';
import { findProgram } from '../../../src/system/packages/tools.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

describe('majorOf', () => {
  it.each([
    ['gcc (Debian 12.2.0-14+deb12u1) 12.2.0', 'gcc 12'],
    ['x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0', 'gcc 14'],
    ['Debian clang version 19.1.7', 'clang 19'],
  ])('should be, of %s, %s', (text, major) => {
    expect(majorOf(text)).toBe(major);
  });
});

describe.runIf(findProgram('gcc') !== null)('compilerDiffers', () => {
  it('should name both where they differ, and say nothing where they do not', async () => {
    const tree = temporaryFolder();
    expect(await compilerDiffers(tree)).toBeNull();
    writeFileSync(join(tree, '.config.kernel'), `CONFIG_CC_VERSION_TEXT="${await compilerVersion()}"\n`);
    expect(await compilerDiffers(tree)).toBeNull();
    writeFileSync(join(tree, '.config.kernel'), 'CONFIG_CC_VERSION_TEXT="gcc (Somebody) 3.4.6"\n');
    expect(await compilerDiffers(tree)).toMatch(
      /^the modules are built by gcc .*, the kernel was by gcc \(Somebody\) 3\.4\.6$/,
    );
  });
});
