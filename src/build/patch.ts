/**
 * Patches as they come: a diff, a mail, an mbox, a series of files, a folder of them. Mails are taken apart by git,
 * which knows their encodings; the parts are applied by `patch`, which forgives moved lines.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { InfrastructureError } from '../errors.ts';
import { runTool } from '../system/run-tool.ts';
import { UsageError } from '../errors.ts';
import { findProgram } from '../system/packages/tools.ts';
import { type FileDiff, fileDiffs } from './diff.ts';
import { BuildError } from './make.ts';
import { temporaryFolder } from '../system/temporary-folder.ts';

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
  return [...new Set(fileDiffs(diff).flatMap(({ files }) => files))];
}

/** Where a change ends up in KVM's modules. */
const insideModules = /^(?:arch\/x86\/kvm\/|virt\/kvm\/|include\/|arch\/x86\/include\/)/;

/** A series in two: what KVM's modules are built from, and the files of all else, which is not even applied. */
export interface SortedSeries {
  /** Patches with the diffs of files inside alone; those that touch none of them are left out. */
  readonly patches: readonly Patch[];
  readonly outside: readonly string[];
}

/** Sorts out selftests, documentation, tools and other parts of the kernel, which a series brings along. */
export function sortSeries(patches: readonly Patch[]): SortedSeries {
  const outside = new Set<string>();
  const isInside = ({ files }: FileDiff): boolean => files.some((file) => insideModules.test(file));
  const inside = patches.flatMap((patch): Patch[] => {
    const parts = fileDiffs(patch.diff);
    for (const part of parts) if (!isInside(part)) for (const file of part.files) outside.add(file);
    const kept = parts.filter(isInside);
    return kept.length === 0 ? [] : [{ ...patch, diff: kept.map(({ text }) => text).join('') }];
  });
  return { patches: inside, outside: [...outside] };
}

/**
 * Applies a patch to a tree, file by file.
 *
 * @throws BuildError that names the file and the hunk that does not apply, with the words of `patch` as its log.
 */
export async function applyPatch({ title, diff }: Patch, tree: string): Promise<void> {
  for (const part of fileDiffs(diff)) await applyToFile(title, part, tree);
}

async function applyToFile(title: string, part: FileDiff, tree: string): Promise<void> {
  const args = ['-p1', '--batch', '--forward', '--no-backup-if-mismatch', '--reject-file=-'];
  const options = { cwd: tree, input: part.text, env: { LC_ALL: 'C' }, reject: false, all: true } as const;
  const result = await execa('patch', args, options);
  if (result.exitCode === undefined) throw new InfrastructureError(`patch: ${result.shortMessage}`);
  if (result.exitCode === 0) return;
  throw new BuildError(`${title}: ${part.files.join(', ')}: ${complaintOf(part, result.all)}`, result.all);
}

/** Why one file's diff does not apply, in our words: which hunks, and where they would be. */
function complaintOf({ hunks }: FileDiff, said: string): string {
  if (/Reversed|previously applied|which already exists/.test(said)) return 'this source has the change already';
  if (/can't find file|No file to patch/.test(said)) return 'this source has no such file';
  const malformed = /malformed patch at line \d+/.exec(said)?.[0];
  if (malformed !== undefined) return `it cannot be read: ${malformed}`;
  const failed = [...said.matchAll(/Hunk #(\d+) FAILED/g)].map((match) => Number(match[1]));
  if (failed.length === 0) return `it does not apply: ${said.trim().split('\n').at(-1) ?? ''}`;
  const named = failed.map((number) => `${number} (${hunks[number - 1]?.trim() ?? '@@'})`);
  return `${named.length === 1 ? 'hunk' : 'hunks'} ${named.join(', ')} of ${hunks.length} ${named.length === 1 ? 'does' : 'do'} not apply`;
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
  await using folder = await temporaryFolder('mail');
  await writeFile(join(folder.path, 'mbox'), text);
  await runTool('git', ['mailsplit', `-o${folder.path}`, '-b', join(folder.path, 'mbox')]);
  const parts: (Patch & { place: number })[] = [];
  for (const name of (await readdir(folder.path)).filter((file) => /^\d+$/.test(file)).sort()) {
    const mail = await readFile(join(folder.path, name));
    const info = await execa('git', ['mailinfo', join(folder.path, 'message'), join(folder.path, 'diff')], {
      input: mail,
      reject: false,
    });
    const title = /^Subject: (.*)$/m.exec(info.stdout)?.[1] ?? from;
    const place = Number(
      /^Subject:.*?\[[^\]]*?\b(\d+)\/\d+[^\]]*\]/im.exec(mail.toString('utf8'))?.[1] ?? parts.length + 1,
    );
    parts.push({ from, title, place, diff: await readFile(join(folder.path, 'diff'), 'utf8') });
  }
  return parts.sort((left, right) => left.place - right.place);
}
