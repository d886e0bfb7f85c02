import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { qemuAt, versionOfText } from '../../../../src/lab/emulator/qemu-emulator.ts';
import { temporaryFolder } from '../../../temporary-folder.ts';

describe('versionOfText', () => {
  it('should read what Debian, Fedora and a build of its own print', () => {
    expect(versionOfText('QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)\nCopyright')).toBe('7.2.22');
    expect(versionOfText('QEMU emulator version 10.0.2 (qemu-10.0.2-1.fc42)')).toBe('10.0.2');
    expect(versionOfText('QEMU emulator version 11.0.50 (v11.0.0-123-gabc)')).toBe('11.0.50');
    expect(versionOfText('Bochs x86 Emulator 3.0')).toBe(null);
  });
});

describe('qemuAt', () => {
  it('should ask for the version once, and complain in one line where there is none', async () => {
    const folder = temporaryFolder();
    const program = (name: string, text: string): string => {
      const path = join(folder, name);
      writeFileSync(path, `#!/bin/sh\necho asked >> ${folder}/asked\necho '${text}'\n`);
      chmodSync(path, 0o755);
      return path;
    };
    const path = program('good', 'QEMU emulator version 9.1.0');
    const both = await Promise.all([qemuAt(path), qemuAt(path)]);
    expect(both.map(({ name, version }) => `${name} ${version}`)).toEqual(['qemu 9.1.0', 'qemu 9.1.0']);
    expect(readFileSync(join(folder, 'asked'), 'utf8')).toBe('asked\n');
    await expect(qemuAt(program('other', 'nothing'))).rejects.toThrow('other does not tell its version');
  });
});
