import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { qemuChannelModules } from '../../../../src/lab/emulator/qemu.ts';
import { UsageError } from '../../../../src/errors.ts';
import { findProgram } from '../../../../src/system/packages/tools.ts';
import { collectModules, dependsOf, hasZstdModules } from '../../../../src/lab/kernel/modules.ts';
import { temporaryFolder } from '../../../temporary-folder.ts';

let folder: string;
beforeEach(() => {
  folder = temporaryFolder();
});

describe('dependsOf', () => {
  it('should read the names, with underscores', () => {
    expect(dependsOf(module('kvm,ccp'))).toEqual(['kvm', 'ccp']);
    expect(dependsOf(module('rng-core'))).toEqual(['rng_core']);
    expect(dependsOf(module(''))).toEqual([]);
    expect(dependsOf(Buffer.from('no module'))).toEqual([]);
  });
});

describe('collectModules', () => {
  it('should put what is needed before what needs it, and leave out what is not needed', async () => {
    write('kvm-amd.ko', module('kvm,ccp'));
    write('kvm.ko', module('irqbypass'));
    write('irqbypass.ko', module(''));
    write('ccp.ko', module(''));
    write('9p.ko', module(''));
    expect(await names(folder, null)).toEqual(['irqbypass.ko', 'kvm.ko', 'ccp.ko', 'kvm-amd.ko']);
  });

  it('should keep those of the channel apart, with what they need', async () => {
    write('virtio_console.ko', module('virtio'));
    write('virtio.ko', module(''));
    write('kvm-amd.ko', module('kvm,virtio'));
    write('kvm.ko', module(''));
    const { channel, kvm } = await collectModules(folder, null, 'busybox', qemuChannelModules);
    const files = [channel, kvm].map((modules) => modules.map(({ file }) => file));
    expect(files).toEqual([
      ['virtio.ko', 'virtio_console.ko'],
      ['kvm.ko', 'kvm-amd.ko'],
    ]);
  });

  it('should find modules by modules.order, compressed ones too', async () => {
    write('modules.order', Buffer.from('kernel/arch/x86/kvm/kvm.o\nkernel/arch/x86/kvm/kvm-amd.ko\nkernel/gone.ko\n'));
    write('kernel/arch/x86/kvm/kvm.ko.gz', gzipSync(module('')));
    write('kernel/arch/x86/kvm/kvm-amd.ko', module('kvm'));
    expect(await names(folder, null)).toEqual(['kvm.ko', 'kvm-amd.ko']);
  });

  it.runIf(findProgram('zstd') !== null)('should decompress zstd', async () => {
    write('kvm.ko', module('', 'plain'));
    execFileSync('zstd', ['-q', '--rm', join(folder, 'kvm.ko')]);
    write('kvm-amd.ko', module('kvm'));
    const { kvm } = await collectModules(folder, null, 'busybox', qemuChannelModules);
    expect(kvm.map(({ file, bytes }) => `${file} ${bytes.includes('plain')}`)).toEqual([
      'kvm.ko true',
      'kvm-amd.ko false',
    ]);
    expect(hasZstdModules(folder)).toBe(true);
  });

  it('should name a compressed module that is damaged', async () => {
    write('kvm.ko.gz', Buffer.from('no gzip'));
    write('kvm-amd.ko', module('kvm'));
    await expect(names(folder, null)).rejects.toThrow(/kvm\.ko\.gz cannot be decompressed: /);
  });

  it('should refuse a kernel that has no virtio, where the kernel says what is built in', async () => {
    write('modules.builtin', Buffer.from('kernel/drivers/virtio/virtio_pci.ko\n'));
    await expect(names(folder, null)).rejects.toThrow(/: this kernel has no virtio_console, through which/);
    write(
      'modules.builtin',
      Buffer.from('kernel/drivers/virtio/virtio_pci.ko\nkernel/drivers/char/virtio_console.ko\n'),
    );
    expect(await names(folder, null)).toEqual([]);
  });

  it('should prefer the kvm modules of the given folder, and only those', async () => {
    write('own/kvm.ko', module('irqbypass', 'own'));
    write('own/irqbypass.ko', module('', 'own'));
    write('own/kvm-amd.ko', module('kvm', 'own'));
    write('given/arch/x86/kvm/kvm.ko', module('irqbypass', 'given'));
    write('given/arch/x86/kvm/irqbypass.ko', module('', 'given'));
    const { kvm } = await collectModules(join(folder, 'own'), join(folder, 'given'), 'busybox', qemuChannelModules);
    const origins = kvm.map(({ file, bytes }) => `${file} ${bytes.includes('given') ? 'given' : 'own'}`);
    expect(origins).toEqual(['irqbypass.ko own', 'kvm.ko given', 'kvm-amd.ko own']);
  });

  it('should refuse a folder without kvm.ko', async () => {
    const error = await collectModules(null, folder, 'busybox', qemuChannelModules).catch((reason: Error) => reason);
    expect(error).toEqual(new UsageError(`--kvm-modules ${folder}: no kvm.ko in this folder nor in its arch/x86/kvm`));
  });

  it('should make do without modules', async () => {
    expect(await names(null, null)).toEqual([]);
  });
});

async function names(own: string | null, given: string | null): Promise<string[]> {
  const { channel, kvm } = await collectModules(own, given, 'busybox', qemuChannelModules);
  return [...channel, ...kvm].map(({ file }) => file);
}

function module(depends: string, remark = ''): Buffer {
  return Buffer.from(`ELF${remark}\0license=GPL\0depends=${depends}\0name=x\0`);
}

function write(path: string, bytes: Buffer): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), bytes);
}
