/** Versions of what takes part in a run: this tool and QEMU. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { ownCorpusFolder } from '../campaign/corpus.ts';
import { findProgram } from '../system/tools.ts';

/** The version in package.json. */
export function ownVersion(): string {
  const text = readFileSync(join(dirname(ownCorpusFolder()), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** `QEMU 7.2.22 (TCG)`. */
export async function qemuVersion(): Promise<string> {
  const qemu = findProgram('qemu-system-x86_64');
  if (qemu === null) return 'QEMU (not found)';
  const { stdout } = await execa(qemu, ['--version']);
  return `QEMU ${/version (\S+)/.exec(stdout)?.[1] ?? '?'} (TCG)`;
}
