/**
 * Patches as they come: a diff, a mail, an mbox, a series of files, a folder of them. Mails are taken apart by git,
 * which knows their encodings; the parts are applied by `patch`, which forgives moved lines.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { InfrastructureError } from '../errors.ts';
import { runTool } from '../system/apt.ts';
import { UsageError } from '../errors.ts';
import { findProgram } from '../system/tools.ts';
import { BuildError } from './make.ts';

export interface Patch {
  /** Where it comes from: a file, or `-`. */
  readonly from: string;
  /** Subject of its mail, or its file's name. */
  readonly title: string;
  readonly diff: string;
}

/** Stdin as a file name. */
export const stdinName = '-';

/**
 * The patches of the arguments, in order; cover letters are left out.
 *
 * @throws UsageError for what cannot be read or has no diff.
 */
export async function readPatches(names: readonly string[]): Promise<Patch[]> {
  const patches: Patch[] = [];
  for (const from of names.flatMap(filesOf)) {
    const text = readText(from);
    const parts = isMail(text) ? await splitMail(from, text) : [{ from, title: from, diff: text }];
    const withDiff = parts.filter(({ diff }) => filesOfDiff(diff).length > 0);
    // Of a series in a folder the cover letter is a file of its own.
    if (withDiff.length === 0 && !/\bPATCH[^\]]*\b0+\//.test(text)) {
      throw new UsageError(`${from}: no diff in it (looked for lines that begin with "--- " and "+++ ")`);
    }
    patches.push(...withDiff);
  }
  if (patches.length === 0) throw new UsageError(`${names.join(', ')}: no patch in it`);
  return patches;
}

/**
 * Paths that a diff touches, below the tree.
 *
 * @throws UsageError for a path that leads out of it.
 */
export function filesOfDiff(diff: string): string[] {
  const paths = new Set<string>();
  const lines = diff.split('\n');
  for (const [index, line] of lines.entries()) {
    const isPair = line.startsWith('--- ') && lines[index + 1]?.startsWith('+++ ') === true;
    const sides = isPair ? [line, lines[index + 1]!].map((side) => side.slice(4)) : renamed(line);
    for (const side of sides) {
      const path = side.split('\t')[0]!.trim();
      if (path !== '/dev/null') paths.add(isPair ? path.replace(/^[^/]+\//, '') : path);
    }
  }
  for (const path of paths) {
    if (path.startsWith('/') || path.split('/').includes('..')) {
      throw new UsageError(`the patch touches ${path}, which is outside of the kernel's source`);
    }
  }
  return [...paths];
}

/**
 * Applies a patch to a tree.
 *
 * @throws BuildError with the words of `patch` when it does not apply.
 */
export async function applyPatch({ title, diff }: Patch, tree: string): Promise<void> {
  const args = ['-p1', '--batch', '--forward', '--no-backup-if-mismatch', '--reject-file=-'];
  const result = await execa('patch', args, { cwd: tree, input: diff, env: { LC_ALL: 'C' }, reject: false, all: true });
  if (result.exitCode === undefined) throw new InfrastructureError(`patch: ${result.shortMessage}`);
  if (result.exitCode === 0) return;
  const failed = result.all.split('\n').find((line) => /FAILED|can't find|malformed|Reversed/.test(line));
  throw new BuildError(
    `${title}: it does not apply: ${failed?.trim() ?? `patch ended with ${result.exitCode}`}`,
    result.all,
  );
}

function renamed(line: string): string[] {
  const path = /^rename (?:from|to) (.+)$/.exec(line)?.[1];
  return path === undefined ? [] : [path];
}

function filesOf(name: string): string[] {
  if (name === stdinName || statSync(name, { throwIfNoEntry: false })?.isDirectory() !== true) return [name];
  const entries = readdirSync(name);
  if (entries.includes('series')) {
    const lines = readText(join(name, 'series')).split('\n');
    return lines
      .map((line) => line.replace(/#.*/, '').trim().split(/\s/)[0]!)
      .filter(Boolean)
      .map((file) => join(name, file));
  }
  const files = entries.filter((file) => /\.(?:patch|diff|mbox|eml)$/.test(file)).sort();
  if (files.length === 0) throw new UsageError(`${name}: neither a series file nor a *.patch in this folder`);
  return files.map((file) => join(name, file));
}

function readText(name: string): string {
  try {
    return readFileSync(name === stdinName ? 0 : name, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(`${name}: ${code === 'ENOENT' ? 'no such file' : message}`);
  }
}

function isMail(text: string): boolean {
  return /^From \S+ .*\d{4}$/m.test(text.split('\n', 1)[0]!) || /^(?:From|Subject|Date|Message-I[Dd]): /.test(text);
}

async function splitMail(from: string, text: string): Promise<Patch[]> {
  if (findProgram('git') === null) throw new InfrastructureError('git is needed to read mails (Debian package: git)');
  const folder = await mkdtemp(join(tmpdir(), 'hvipi-mail-'));
  try {
    await writeFile(join(folder, 'mbox'), text);
    await runTool('git', ['mailsplit', `-o${folder}`, '-b', join(folder, 'mbox')]);
    const parts: (Patch & { place: number })[] = [];
    for (const name of (await readdir(folder)).filter((file) => /^\d+$/.test(file)).sort()) {
      const mail = await readFile(join(folder, name));
      const info = await execa('git', ['mailinfo', join(folder, 'message'), join(folder, 'diff')], {
        input: mail,
        reject: false,
      });
      const title = /^Subject: (.*)$/m.exec(info.stdout)?.[1] ?? from;
      const place = Number(
        /^Subject:.*?\[[^\]]*?\b(\d+)\/\d+[^\]]*\]/im.exec(mail.toString('utf8'))?.[1] ?? parts.length + 1,
      );
      parts.push({ from, title, place, diff: await readFile(join(folder, 'diff'), 'utf8') });
    }
    return parts.sort((left, right) => left.place - right.place);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
