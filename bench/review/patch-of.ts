/** A sample as a patch: its edits made in a copy of the files, and the difference as `diff` writes it. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { applyEdit } from '../../src/system/edit.ts';
import type { ReviewSample } from './sample.ts';
import { temporaryFolder } from '../../src/system/temporary-folder.ts';

/** @throws EditError */
export async function patchOf(
  { name, subject, edits }: Pick<ReviewSample, 'name' | 'subject' | 'edits'>,
  tree: string,
): Promise<string> {
  await using folder = await temporaryFolder('sample');
  const texts = new Map<string, string>();
  for (const edit of edits) {
    const before = texts.get(edit.file) ?? (await readFile(join(tree, edit.file), 'utf8'));
    texts.set(edit.file, applyEdit(before, edit, name));
  }
  let diff = '';
  for (const [file, text] of texts) {
    for (const side of ['a', 'b']) await mkdir(dirname(join(folder.path, side, file)), { recursive: true });
    await writeFile(join(folder.path, 'a', file), await readFile(join(tree, file), 'utf8'));
    await writeFile(join(folder.path, 'b', file), text);
    const { stdout } = await execa('diff', ['-up', join('a', file), join('b', file)], {
      cwd: folder.path,
      reject: false,
    });
    diff += `${stdout}\n`;
  }
  const date = 'Mon, 1 Jan 2024 00:00:00 +0000';
  return `From: A Developer <developer@example.org>\nDate: ${date}\nSubject: [PATCH] KVM: x86: hyper-v: ${subject}\n\n---\n${diff}`;
}
