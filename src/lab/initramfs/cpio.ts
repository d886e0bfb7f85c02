/**
 * A writer for cpio archives in the "newc" format (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).
 * Our own, because the archive is put together from memory and holds a device node, which Debian's cpio can only
 * archive from a node that root has made.
 */

export type CpioEntry =
  | { readonly kind: 'folder'; readonly path: string }
  | { readonly kind: 'file'; readonly path: string; readonly executable: boolean; readonly bytes: Buffer }
  | { readonly kind: 'link'; readonly path: string; readonly to: string }
  | { readonly kind: 'character-device'; readonly path: string; readonly major: number; readonly minor: number };

const alignment = 4;
const typeBits = { folder: 0o040000, file: 0o100000, link: 0o120000, 'character-device': 0o020000 } as const;

/**
 * An archive of the entries and of the folders that they need. Paths are absolute inside the archive, without "/" in
 * front. Archives may be concatenated.
 */
export function cpioArchive(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  let inode = 1;
  for (const entry of withFolders(entries)) parts.push(...encodeEntry(entry, inode++));
  parts.push(header('TRAILER!!!', { inode: 0, mode: 0, size: 0, major: 0, minor: 0 }));
  return Buffer.concat(parts);
}

/** Entries with every folder on the way put in front of its first use. */
function withFolders(entries: readonly CpioEntry[]): CpioEntry[] {
  const known = new Set<string>();
  const all: CpioEntry[] = [];
  for (const entry of entries) {
    const parts = entry.path.split('/');
    for (let length = 1; length < parts.length; length++) {
      const path = parts.slice(0, length).join('/');
      if (!known.has(path)) all.push({ kind: 'folder', path });
      known.add(path);
    }
    if (!known.has(entry.path)) all.push(entry);
    known.add(entry.path);
  }
  return all;
}

function encodeEntry(entry: CpioEntry, inode: number): Buffer[] {
  const bytes = contentOf(entry);
  const permissions = entry.kind === 'file' && !entry.executable ? 0o644 : 0o755;
  const mode = typeBits[entry.kind] | permissions;
  const { major, minor } = entry.kind === 'character-device' ? entry : { major: 0, minor: 0 };
  return [header(entry.path, { inode, mode, size: bytes.length, major, minor }), bytes, padding(bytes.length)];
}

function contentOf(entry: CpioEntry): Buffer {
  switch (entry.kind) {
    case 'file':
      return entry.bytes;
    case 'link':
      return Buffer.from(entry.to);
    case 'folder':
    case 'character-device':
      return Buffer.alloc(0);
  }
}

interface HeaderFields {
  readonly inode: number;
  readonly mode: number;
  readonly size: number;
  readonly major: number;
  readonly minor: number;
}

/** The header, the name and its padding. Owner and times are 0, so that equal content gives equal archives. */
function header(name: string, { inode, mode, size, major, minor }: HeaderFields): Buffer {
  const nameBytes = Buffer.from(`${name}\0`);
  const [uid, gid, linkCount, mtime, deviceMajor, deviceMinor, check] = [0, 0, 1, 0, 0, 0, 0];
  const numbers = [inode, mode, uid, gid, linkCount, mtime, size, deviceMajor, deviceMinor, major, minor];
  const fields = [...numbers, nameBytes.length, check].map((value) => value.toString(16).padStart(8, '0'));
  const head = Buffer.from(`070701${fields.join('')}`);
  return Buffer.concat([head, nameBytes, padding(head.length + nameBytes.length)]);
}

function padding(length: number): Buffer {
  return Buffer.alloc((alignment - (length % alignment)) % alignment);
}
