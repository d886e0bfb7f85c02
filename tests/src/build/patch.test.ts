import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { BuildError } from '../../../src/build/make.ts';
import { applyPatch, filesOfDiff, readPatches, sortSeries } from '../../../src/build/patch.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

let folder: string;
beforeEach(async () => {
  folder = temporaryFolder();
});

const diff = (line: string): string =>
  `--- a/arch/x86/kvm/hyperv.c\n+++ b/arch/x86/kvm/hyperv.c\n@@ -1,3 +1,3 @@\n one\n-two\n+${line}\n three\n`;
const mail = (subject: string, body: string, encoding = '8bit'): string =>
  `From 1234567890123456789012345678901234567890 Mon Sep 17 00:00:00 2001\nFrom: A <a@example.org>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\nSubject: ${subject}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: ${encoding}\n\nWhy.\n\n---\n${body}\n`;

async function save(name: string, text: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
}

describe('readPatches', () => {
  it('should read a bare diff', async () => {
    const path = await save('one.diff', diff('zwei'));

    expect(await readPatches([path])).toEqual([{ from: path, title: path, diff: diff('zwei') }]);
  });

  it('should read the mails of an mbox in the order of the series, without the cover letter', async () => {
    const series = [
      mail('[PATCH 0/2] Cover', 'text'),
      mail('[PATCH 2/2] Second', diff('b')),
      mail('[PATCH 1/2] First', diff('a')),
    ];

    const patches = await readPatches([await save('mbox', series.join(''))]);

    expect(patches.map(({ title }) => title)).toEqual(['First', 'Second']);
  });

  it('should decode a mail that is quoted-printable', async () => {
    const body = diff('a =3D b').replaceAll('\n@@', '\n@=\n@');

    const [patch] = await readPatches([await save('mail', mail('[PATCH] One', body, 'quoted-printable'))]);

    expect(patch!.diff).toContain('+a = b');
  });

  it('should read a folder by its series file', async () => {
    await save('z.patch', diff('z'));
    await save('a.patch', diff('a'));
    await save('series', '# comment\nz.patch\na.patch -p1\n');

    const patches = await readPatches([folder]);

    expect(patches.map(({ title }) => title)).toEqual([join(folder, 'z.patch'), join(folder, 'a.patch')]);
  });

  it.each([
    ['text', 'hello\n', /no diff in it/],
    ['escape', diff('x').replaceAll('arch/x86/kvm/hyperv.c', '../../etc/passwd'), /outside of the kernel's source/],
  ])('should refuse a %s', async (name, text, message) => {
    const path = await save(name, text);
    await expect(readPatches([path])).rejects.toThrow(message);
  });

  it('should name a file that is not there', async () => {
    await expect(readPatches([join(folder, 'none')])).rejects.toThrow('none: no such file');
  });
});

describe('filesOfDiff', () => {
  it('should give both sides, also of files that come, go and move', () => {
    const text = '--- /dev/null\n+++ b/new.c\n@@ -0,0 +1 @@\n+x\nrename from old.c\nrename to moved.c\n';

    expect(filesOfDiff(text)).toEqual(['new.c', 'old.c', 'moved.c']);
  });
});

describe('sortSeries', () => {
  const forFile = (file: string): string => diff('zwei').replaceAll('arch/x86/kvm/hyperv.c', file);

  it('should set aside what no module is built from, also within one patch', () => {
    const test = 'tools/testing/selftests/kvm/x86/hyperv_ipi.c';
    const series = [
      { from: '-', title: 'both', diff: `diff --git a/${test} b/${test}\n${forFile(test)}${diff('zwei')}` },
      { from: '-', title: 'docs', diff: forFile('Documentation/virt/kvm/api.rst') },
      { from: '-', title: 'guest', diff: forFile('arch/x86/hyperv/ivm.c') },
    ];

    const { patches, outside } = sortSeries(series);

    expect(patches).toEqual([{ from: '-', title: 'both', diff: `${diff('zwei')}\n` }]);
    expect(outside).toEqual([test, 'Documentation/virt/kvm/api.rst', 'arch/x86/hyperv/ivm.c']);
  });

  it('should not take a line that is taken away for the head of a file', () => {
    const tricky = '--- a/virt/kvm/x.c\n+++ b/virt/kvm/x.c\n@@ -1,2 +1,2 @@\n--- a/tools/x.c\n+++ b/tools/x.c\n z\n';

    expect(filesOfDiff(tricky)).toEqual(['virt/kvm/x.c']);
    expect(sortSeries([{ from: '-', title: 'x', diff: tricky }]).outside).toEqual([]);
  });

  it('should know a change of modes by its git line', () => {
    const mode = 'diff --git a/tools/x.sh b/tools/x.sh\nold mode 100644\nnew mode 100755\n';

    const git = 'diff --git a/arch/x86/kvm/hyperv.c b/arch/x86/kvm/hyperv.c\n';
    const series = [{ from: '-', title: 'x', diff: `${mode}${git}${diff('zwei')}` }];

    expect(sortSeries(series).outside).toEqual(['tools/x.sh']);
  });
});

describe('applyPatch', () => {
  beforeEach(async () => {
    await mkdir(join(folder, 'arch/x86/kvm'), { recursive: true });
    await save('arch/x86/kvm/hyperv.c', 'zero\none\ntwo\nthree\n');
  });

  it('should apply where lines have moved', async () => {
    await applyPatch({ from: '-', title: 'x', diff: diff('zwei') }, folder);

    expect(await readFile(join(folder, 'arch/x86/kvm/hyperv.c'), 'utf8')).toBe('zero\none\nzwei\nthree\n');
  });

  it('should name the file and the hunk that does not apply', async () => {
    const second = '@@ -30,3 +30,3 @@ static u64 f(void)\n a\n-b\n+c\n d\n';
    const text = `${diff('zwei')}${second}--- a/arch/x86/kvm/x86.c\n+++ b/arch/x86/kvm/x86.c\n@@ -1 +1 @@\n-x\n+y\n`;
    const failure = await applyPatch({ from: '-', title: 'x', diff: text }, folder).catch((error: unknown) => error);

    expect((failure as BuildError).message).toBe(
      'x: arch/x86/kvm/hyperv.c: hunk 2 (@@ -30,3 +30,3 @@ static u64 f(void)) of 2 does not apply',
    );
  });

  it('should tell what is there already, and a file that is not', async () => {
    const again = { from: '-', title: 'x', diff: diff('zwei') };
    await applyPatch(again, folder);
    const other = { ...again, diff: diff('zwei').replaceAll('hyperv.c', 'other.c') };

    await expect(applyPatch(again, folder)).rejects.toThrow('x: arch/x86/kvm/hyperv.c: this source has the change');
    await expect(applyPatch(other, folder)).rejects.toThrow('x: arch/x86/kvm/other.c: this source has no such file');
  });

  it('should keep what patch itself said', async () => {
    const other = { from: '-', title: 'x', diff: diff('zwei').replace('-two', '-deux') };

    const failure = await applyPatch(other, folder).catch((error: unknown) => error);

    expect(failure).toBeInstanceOf(BuildError);
    expect((failure as BuildError).log).toContain('patching file arch/x86/kvm/hyperv.c');
  });
});
