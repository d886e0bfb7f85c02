/**
 * The lab's root file system: the hand as the first program, the modules that its channel needs, and busybox where a person or
 * another verb runs programs there. Everything is in one initramfs, so that the untrusted kernel sees nothing of this computer.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { execa } from 'execa';
import { labModulesPath } from '../../hand/frames.ts';
import { withFileErrors } from '../../system/file-errors.ts';
import type { Module } from '../kernel/modules.ts';
import { cpioArchive, type CpioEntry } from './cpio.ts';

export interface Initramfs {
  /** Text that is equal when what is written is. */
  readonly key: string;
  /** Writes it to this path. @throws InfrastructureError when the disk is full. */
  readonly write: (target: string) => Promise<void>;
}

export interface InitramfsParts {
  /** Path of the hand, a static program. */
  readonly hand: string;
  /** Path of this computer's busybox, or null for a lab without programs. */
  readonly busybox: string | null;
  /** Those that the hand loads before there is a channel, in load order. */
  readonly modules: readonly Module[];
}

export async function prepareInitramfs({ hand, busybox, modules }: InitramfsParts): Promise<Initramfs> {
  const folders = ['proc', 'sys', 'dev', 'tmp', 'root', 'etc'].map((path): CpioEntry => ({ kind: 'folder', path }));
  const root = labModulesPath.slice(1);
  const order = Buffer.from(modules.map(({ file }) => `${file}\n`).join(''));
  const archive = cpioArchive([
    ...folders,
    // The kernel opens it for init before devtmpfs is mounted.
    { kind: 'character-device', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'file', path: 'init', executable: true, bytes: readFileSync(hand) },
    { kind: 'file', path: `${root}/order`, executable: false, bytes: order },
    ...modules.map(({ file, bytes }): CpioEntry => ({
      kind: 'file',
      path: `${root}/${file}`,
      executable: false,
      bytes,
    })),
    ...(busybox === null ? [] : await busyboxEntries(busybox)),
  ]);
  const write = (target: string): Promise<void> => withFileErrors(target, () => writeFile(target, archive));
  return { key: createHash('sha256').update(archive).digest('hex'), write };
}

/** busybox and a link to it for each of its commands. Debian's package busybox-static needs no libraries. */
async function busyboxEntries(busybox: string): Promise<CpioEntry[]> {
  const { stdout } = await execa(busybox, ['--list']);
  const names = stdout.split('\n').filter((name) => /^[\w.-]+$/.test(name) && name !== 'busybox');
  return [
    { kind: 'file', path: 'bin/busybox', executable: true, bytes: readFileSync(busybox) },
    ...names.map((name): CpioEntry => ({ kind: 'link', path: `bin/${name}`, to: 'busybox' })),
  ];
}
