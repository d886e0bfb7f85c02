/**
 * The kernel of a bzImage as it lies in memory when it is entered by PVH: unpacked here, so that no boot loader, no disk and no
 * decompression is needed in the emulated computer. Sources: Linux, Documentation/arch/x86/boot.rst (payload_offset and
 * payload_length); the ELF format; XEN_ELFNOTE_PHYS32_ENTRY in Xen's public/elfnote.h.
 */
import { readFileSync } from 'node:fs';
import { InfrastructureError } from '../../../errors.ts';
import { type Compression, decompress } from '../../kernel/decompress.ts';

export interface KernelImage {
  readonly bytes: Buffer;
  /** Where it belongs in physical memory. */
  readonly address: number;
  /** Physical address at which it is entered. */
  readonly entry: number;
}

/** First bytes of a payload, and what unpacks it. Behind the last two the kernel's build puts four bytes of length. */
const forms: readonly { readonly magic: string; readonly compression: Compression; readonly behind: number }[] = [
  { magic: '1f8b', compression: 'gz', behind: 0 },
  { magic: 'fd377a585a00', compression: 'xz', behind: 4 },
  { magic: '28b52ffd', compression: 'zst', behind: 4 },
];

/** @throws InfrastructureError for an image that cannot be entered that way. */
export async function kernelImage(path: string, busybox: string): Promise<KernelImage> {
  const payload = payloadOf(readFileSync(path));
  const form = forms.find(({ magic }) => payload.subarray(0, magic.length / 2).toString('hex') === magic);
  if (form === undefined) {
    throw new InfrastructureError(
      `${path}: its kernel is packed neither with gzip, xz nor zstd; Bochs needs one of them`,
    );
  }
  const packed = payload.subarray(0, payload.length - form.behind);
  return loadedImage(await decompress(packed, form.compression, { name: path, busybox }), path);
}

/** What a bzImage unpacks. */
export function payloadOf(image: Buffer): Buffer {
  // 0 means 4 (boot.rst).
  const setupSectors = image.readUInt8(0x1f1) || 4;
  const start = (setupSectors + 1) * 512 + image.readUInt32LE(0x248);
  return image.subarray(start, start + image.readUInt32LE(0x24c));
}

const programTypes = { load: 1, note: 4 } as const;
const entryNote = 18;
const programHeaderBytes = 56;

/** The segments of an ELF file at their places; what of them is in no file is zero. */
export function loadedImage(elf: Buffer, name: string): KernelImage {
  const start = Number(elf.readBigUInt64LE(0x20));
  const headers = Array.from({ length: elf.readUInt16LE(0x38) }, (_, index) => {
    const header = elf.subarray(start + index * programHeaderBytes, start + (index + 1) * programHeaderBytes);
    const field = (offset: number): number => Number(header.readBigUInt64LE(offset));
    const offset = field(8);
    const content = elf.subarray(offset, offset + field(32));
    return { type: header.readUInt32LE(0), address: field(24), content, length: field(40) };
  });
  const loaded = headers.filter(({ type }) => type === programTypes.load);
  const entry = headers.filter(({ type }) => type === programTypes.note).map(({ content }) => entryOf(content));
  const address = Math.min(...loaded.map((segment) => segment.address));
  const end = Math.max(...loaded.map((segment) => segment.address + segment.length));
  const found = entry.find((each) => each !== null);
  if (found === undefined || found === null) {
    throw new InfrastructureError(
      `${name}: the kernel cannot be entered by PVH, as Bochs starts it; it needs CONFIG_PVH`,
    );
  }
  const bytes = Buffer.alloc(end - address);
  for (const segment of loaded) segment.content.copy(bytes, segment.address - address);
  return { bytes, address, entry: found };
}

/** Notes are a size of name, a size of description, a type, and both, each filled up to four bytes. */
function entryOf(notes: Buffer): number | null {
  const filled = (length: number): number => Math.ceil(length / 4) * 4;
  for (let at = 0; at + 12 <= notes.length;) {
    const [nameBytes, bytes, type] = [0, 4, 8].map((field) => notes.readUInt32LE(at + field)) as [
      number,
      number,
      number,
    ];
    const description = at + 12 + filled(nameBytes);
    if (type === entryNote && notes.toString('latin1', at + 12, at + 15) === 'Xen')
      return notes.readUInt32LE(description);
    at = description + filled(bytes);
  }
  return null;
}
