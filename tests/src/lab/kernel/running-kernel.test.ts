import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { runningKernel } from '../../../../src/lab/kernel/running-kernel.ts';
import { temporaryFolder } from '../../../temporary-folder.ts';

let root: string;
beforeEach(() => {
  root = temporaryFolder();
});

describe('runningKernel', () => {
  it('should find image and modules as Debian and Ubuntu lay them out', () => {
    touch('boot/vmlinuz-6.8.0-31-generic');
    touch('lib/modules/6.8.0-31-generic/modules.order');
    expect(runningKernel(root, '6.8.0-31-generic')).toEqual({
      bzImage: join(root, 'boot/vmlinuz-6.8.0-31-generic'),
      moduleDir: join(root, 'lib/modules/6.8.0-31-generic'),
      release: '6.8.0-31-generic',
    });
  });

  it('should find them as Fedora, Arch and newer Debians do', () => {
    touch('usr/lib/modules/7.3.4-arch1-1/vmlinuz');
    touch('usr/lib/modules/7.3.4-arch1-1/modules.order');
    expect(runningKernel(root, '7.3.4-arch1-1').bzImage).toBe(join(root, 'usr/lib/modules/7.3.4-arch1-1/vmlinuz'));
  });

  it('should say what runs and what there is, in one line, when it is not here', () => {
    touch('boot/vmlinuz-6.12.1');
    expect(() => runningKernel(root, '6.12.2')).toThrow(
      /^--kernel running: this computer runs 6\.12\.2 and has neither [^\n]* \(there are 6\.12\.1\); give --kernel [^\n]*$/,
    );
  });

  it('should say which package is missing when the modules are', () => {
    touch('boot/vmlinuz-6.12.2');
    expect(() => runningKernel(root, '6.12.2')).toThrow(/not \/lib\/modules\/6\.12\.2; install the package/);
  });

  it.skipIf(process.getuid?.() === 0)('should say what to type when only root may read the image', () => {
    touch('boot/vmlinuz-6.12.2');
    chmodSync(join(root, 'boot/vmlinuz-6.12.2'), 0);
    expect(() => runningKernel(root, '6.12.2')).toThrow(/type: sudo chmod a\+r/);
  });
});

function touch(path: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), '');
}
