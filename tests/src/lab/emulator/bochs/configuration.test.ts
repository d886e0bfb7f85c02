import { describe, expect, it } from 'vitest';
import { configuration } from '../../../../../src/lab/emulator/bochs/configuration.ts';
import { versionOfText } from '../../../../../src/lab/emulator/bochs/bochs-emulator.ts';

const bioses = { bios: '/c/bios.bin', vgaBios: '/c/vgabios.bin' };

describe('configuration', () => {
  it('should have no disk, no network, and a console that is a file', () => {
    const text = configuration(bioses, 1, null);
    expect(text).not.toMatch(/e1000|ne2k|pnic|diskc?:|hdimage/);
    expect(text).toContain('ata0: enabled=0');
    expect(text).toContain('com1: enabled=1, mode=file, dev=com1');
    expect(text).toContain('count=1');
  });

  it('should load the images of a boot, and none of a computer that goes on', () => {
    const images = { kernel: 0x100_0000, initrd: 0x800_0000 };
    expect(configuration(bioses, 2, images)).toContain('optramimage1: file=kernel, address=0x1000000');
    expect(configuration(bioses, 2, null)).not.toContain('image1:');
  });
});

describe('versionOfText', () => {
  it('should read the banner, wherever it is, and nothing else', () => {
    expect(versionOfText('=====\n                        Bochs x86 Emulator 3.0\n  Built from')).toBe('3.0');
    expect(versionOfText('QEMU emulator version 7.2.22')).toBe(null);
  });
});
