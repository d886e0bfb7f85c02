import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { kernelImage, loadedImage, payloadOf } from '../../../../../src/lab/emulator/bochs/kernel-image.ts';
import { temporaryFolder } from '../../../../temporary-folder.ts';

interface Segment {
  readonly type: 1 | 4;
  readonly address: number;
  readonly content: Buffer;
  /** More than the content is zeros. */
  readonly bytes: number;
}

function elf(segments: readonly Segment[]): Buffer {
  const header = Buffer.alloc(64 + 56 * segments.length);
  header.writeBigUInt64LE(64n, 0x20);
  header.writeUInt16LE(segments.length, 0x38);
  let offset = header.length;
  segments.forEach(({ type, address, content, bytes }, index) => {
    const at = 64 + 56 * index;
    header.writeUInt32LE(type, at);
    for (const [field, value] of [
      [8, offset],
      [24, address],
      [32, content.length],
      [40, bytes],
    ] as const) {
      header.writeBigUInt64LE(BigInt(value), at + field);
    }
    offset += content.length;
  });
  return Buffer.concat([header, ...segments.map(({ content }) => content)]);
}

function note(name: string, type: number, description: Buffer): Buffer {
  const filled = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
  const head = Buffer.alloc(12);
  [name.length + 1, description.length, type].forEach((word, index) => head.writeUInt32LE(word, 4 * index));
  return Buffer.concat([head, filled(Buffer.from(`${name}\0`)), filled(description)]);
}

const entry = Buffer.from('300a000100000000', 'hex');
const notes = Buffer.concat([
  note('Linux', 18, Buffer.from('none')),
  note('Xen', 6, Buffer.from('linux\0')),
  note('Xen', 18, entry),
]);
const kernel = elf([
  { type: 1, address: 0x100_1000, content: Buffer.from('data'), bytes: 8 },
  { type: 1, address: 0x100_0000, content: Buffer.from('text'), bytes: 4 },
  { type: 4, address: 0x100_0000, content: notes, bytes: notes.length },
]);

function bzImage(payload: Buffer): Buffer {
  const setup = Buffer.alloc(5 * 512);
  setup.writeUInt32LE(16, 0x248);
  setup.writeUInt32LE(payload.length, 0x24c);
  return Buffer.concat([setup, Buffer.alloc(16), payload, Buffer.from('behind')]);
}

describe('loadedImage', () => {
  it('should have every segment at its place, zeros between and behind, and the entry of the Xen note', () => {
    const image = loadedImage(kernel, 'x');
    expect(image).toMatchObject({ address: 0x100_0000, entry: 0x100_0a30 });
    expect(image.bytes.length).toBe(0x1008);
    expect(image.bytes.toString('latin1', 0, 5)).toBe('text\0');
    expect(image.bytes.toString('latin1', 0x1000)).toBe('data\0\0\0\0');
  });

  it('should refuse a kernel without the note', () => {
    const [text] = [{ type: 1, address: 0, content: Buffer.from('text'), bytes: 4 }] as const;
    expect(() => loadedImage(elf([text]), 'some/bzImage')).toThrow('some/bzImage: the kernel cannot be entered by PVH');
  });
});

describe('kernelImage', () => {
  it('should unpack what a bzImage holds, and refuse what it cannot unpack', async () => {
    const folder = temporaryFolder();
    const path = join(folder, 'bzImage');
    writeFileSync(path, bzImage(gzipSync(kernel)));
    expect((await kernelImage(path, 'busybox')).entry).toBe(0x100_0a30);
    writeFileSync(path, bzImage(Buffer.from('some other form')));
    await expect(kernelImage(path, 'busybox')).rejects.toThrow('packed neither with gzip, xz nor zstd');
  });

  it('should take 0 setup sectors for 4', () => {
    const image = bzImage(Buffer.from('payload'));
    expect(payloadOf(image).toString()).toBe('payload');
    image.writeUInt8(4, 0x1f1);
    expect(payloadOf(image).toString()).toBe('payload');
  });
});
