import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { run } from './run.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

let folder: string;
beforeEach(async () => {
  folder = temporaryFolder();
});

describe('compare', () => {
  it('should refuse to compare a kernel with itself', async () => {
    const { exitCode, stderr } = await run('compare', '--kernel', 'debian:6.12');

    expect(exitCode).toBe(2);
    expect(stderr).toBe(
      'hvipi: compare: give two kernels, with --base, two module folders, with --base-modules, or two CPUs, with --base-cpu\n',
    );
  });
});

describe('review', () => {
  it.each([
    ['a file that is not there', ['none.patch'], /none\.patch: no such file/],
    ['a file without a diff', ['package.json'], /package\.json: no diff in it/],
  ])('should refuse %s', async (_, args, message) => {
    const { exitCode, stderr } = await run('review', ...args);

    expect(exitCode).toBe(2);
    expect(stderr).toMatch(message);
  });

  it('should say that nothing is exercised where no module is built from what is touched', async () => {
    const patch = join(folder, 'x.patch');
    await writeFile(patch, '--- a/arch/x86/hyperv/ivm.c\n+++ b/arch/x86/hyperv/ivm.c\n@@ -1 +1 @@\n-a\n+b\n');

    const { exitCode, stderr } = await run('review', patch);

    expect(exitCode).toBe(4);
    expect(stderr).toBe(
      "hvipi: not exercised: KVM's modules are built from nothing that is touched: arch/x86/hyperv/ivm.c\n",
    );
  });

  it('should refuse a tree that is no kernel', async () => {
    const patch = join(folder, 'x.patch');
    await writeFile(patch, '--- a/virt/kvm/x.c\n+++ b/virt/kvm/x.c\n@@ -1 +1 @@\n-a\n+b\n');

    const { exitCode, stderr } = await run('review', patch, '--tree', folder, '--no-install');

    // Where the packages for building are missing, that is said first.
    expect([2, 3]).toContain(exitCode);
    expect(stderr).toMatch(/no kernel source, it has no arch\/x86\/kvm|building needs the Debian packages/);
  });
});

describe('export', () => {
  const file = 'corpus/send-ipi-ex-vp-65.json';

  it('should print a program', async () => {
    const { exitCode, stdout } = await run('export', file, '--as', 'standalone');

    expect(exitCode).toBe(0);
    expect(stdout).toContain('int main(void)');
    expect(stdout).toContain('#include <linux/kvm.h>');
  });

  it.each([
    ['another form', [file, '--as', 'rust'], '--as rust: there are standalone, selftest, bundle, mail'],
    ['a folder', ['corpus/known', '--as', 'standalone'], 'export takes one case'],
    ['what C cannot show', ['corpus/selftest-hyperv-ipi.json', '--as', 'selftest'], 'machine.vcpus[1].idle'],
    ['no form', [file], "required option '--as <FORM>'"],
  ])('should refuse %s', async (_, args, message) => {
    const { exitCode, stderr } = await run('export', ...args);

    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
  });
});

describe('bisect', () => {
  it('should stop the bisection where the command line is wrong, on this commit as on the next', async () => {
    const { exitCode, stderr } = await run('bisect', 'none.json');

    expect(exitCode).toBe(128);
    expect(stderr).toBe('hvipi: none.json: no such file\n');
  });
});

describe('replay --trace', () => {
  it('should want the lab', async () => {
    const { exitCode, stderr } = await run('replay', 'corpus/send-ipi-self.json', '--trace', '--target', 'model');

    expect(exitCode).toBe(2);
    expect(stderr).toContain('--trace goes with --target lab only');
  });
});
