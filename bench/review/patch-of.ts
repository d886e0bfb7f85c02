/** A sample as a patch: its edits made in a copy of the files, and the difference as `diff` writes it. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { applyEdit } from '../../src/system/edit.ts';
import type { ReviewSample } from './sample.ts';

/** @throws EditError */
export async function patchOf(
  { name, subject, edits }: Pick<ReviewSample, 'name' | 'subject' | 'edits'>,
  tree: string,
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'hvipi-sample-'));
  try {
    const texts = new Map<string, string>();
    for (const edit of edits) {
      const before = texts.get(edit.file) ?? (await readFile(join(tree, edit.file), 'utf8'));
      texts.set(edit.file, applyEdit(before, edit, name));
    }
    let diff = '';
    for (const [file, text] of texts) {
      for (const side of ['a', 'b']) await mkdir(dirname(join(folder, side, file)), { recursive: true });
      await writeFile(join(folder, 'a', file), await readFile(join(tree, file), 'utf8'));
      await writeFile(join(folder, 'b', file), text);
      const { stdout } = await execa('diff', ['-up', join('a', file), join('b', file)], { cwd: folder, reject: false });
      diff += `${stdout}\n`;
    }
    const date = 'Mon, 1 Jan 2024 00:00:00 +0000';
    return `From: A Developer <developer@example.org>\nDate: ${date}\nSubject: [PATCH] KVM: x86: hyper-v: ${subject}\n\n---\n${diff}`;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
