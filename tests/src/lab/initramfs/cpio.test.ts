import { describe, expect, it } from 'vitest';
import { cpioArchive } from '../../../../src/lab/initramfs/cpio.ts';

describe('cpioArchive', () => {
  it('should hold what was put in, and the folders on the way', () => {
    const archive = cpioArchive([
      { kind: 'file', path: 'bin/sh', executable: true, bytes: Buffer.from('hello') },
      { kind: 'link', path: 'bin/ls', to: 'sh' },
      { kind: 'file', path: 'a/b/c', executable: false, bytes: Buffer.alloc(0) },
      { kind: 'character-device', path: 'dev/console', major: 5, minor: 1 },
    ]);
    expect(readArchive(archive)).toEqual([
      { path: 'bin', mode: 0o040755, bytes: '', device: '0:0' },
      { path: 'bin/sh', mode: 0o100755, bytes: 'hello', device: '0:0' },
      { path: 'bin/ls', mode: 0o120755, bytes: 'sh', device: '0:0' },
      { path: 'a', mode: 0o040755, bytes: '', device: '0:0' },
      { path: 'a/b', mode: 0o040755, bytes: '', device: '0:0' },
      { path: 'a/b/c', mode: 0o100644, bytes: '', device: '0:0' },
      { path: 'dev', mode: 0o040755, bytes: '', device: '0:0' },
      { path: 'dev/console', mode: 0o020755, bytes: '', device: '5:1' },
      { path: 'TRAILER!!!', mode: 0, bytes: '', device: '0:0' },
    ]);
  });

  it('should end on a multiple of 4, so that archives can follow each other', () => {
    const lengths = ['x', 'xy', 'xyz'].map((path) => cpioArchive([{ kind: 'folder', path }]).length % 4);
    expect(lengths).toEqual([0, 0, 0]);
  });
});

/** Written from the format's description, apart from the writer. */
function readArchive(archive: Buffer): { path: string; mode: number; bytes: string; device: string }[] {
  const entries = [];
  for (let offset = 0; offset < archive.length;) {
    expect(archive.toString('latin1', offset, offset + 6)).toBe('070701');
    const field = (index: number): number => {
      return parseInt(archive.toString('latin1', offset + 6 + 8 * index, offset + 14 + 8 * index), 16);
    };
    const [mode, size, major, minor, nameSize] = [field(1), field(6), field(9), field(10), field(11)];
    const path = archive.toString('latin1', offset + 110, offset + 110 + nameSize - 1);
    const start = Math.ceil((offset + 110 + nameSize) / 4) * 4;
    entries.push({ path, mode, bytes: archive.toString('latin1', start, start + size), device: `${major}:${minor}` });
    offset = Math.ceil((start + size) / 4) * 4;
  }
  return entries;
}
