import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fetchDebianKernel } from '../../../../src/lab/kernel/debian-kernel.ts';
import { temporaryFolder } from '../../../temporary-folder.ts';

const release = '7.3.4+deb13-amd64';
const version = '7.3.4-1~bpo13+1';
const pieces = ['image', 'base', 'binary', 'modules'].map((kind) => `linux-${kind}-${release}`);
const hasKeys = existsSync('/usr/share/keyrings/debian-archive-keyring.gpg');

/** Stand-ins for Debian's tools: a mirror is two files, of what it lists and of what it says about the image. */
const tools = {
  'apt-get': `
    for word in "$@"; do case "$word" in Dir::State::lists=*) lists="\${word#*=}";; esac; done
    case "$*" in
      *indextargets*) echo "http://mirror.example/debian/ bookworm main";;
      *update*) echo updated >> "$STUB/log"; : > "$lists/x_Packages";;
      *download*) for word in "$@"; do case "$word" in linux-*=*) : > "\${word%%=*}_1_amd64.deb";; esac; done;;
    esac`,
  'apt-cache': `
    case "$*" in
      *pkgnames*) cut -d' ' -f1 "$STUB/packages";;
      *show*) cat "$STUB/record";;
      *madison*) for name in "$@"; do grep "^$name |" "$STUB/packages"; done; true;;
    esac`,
  'dpkg-deb': `
    folder="$3/usr/lib/modules/${release}"; mkdir -p "$folder"
    case "$2" in
      *linux-binary-*) echo image > "$folder/vmlinuz";;
      *linux-base-*) echo kernel/drivers/virtio/virtio_pci.ko > "$folder/modules.builtin"
        echo "$VIRTIO" >> "$folder/modules.builtin"; echo kernel/kvm.ko > "$folder/modules.order";;
      *linux-modules-*) mkdir -p "$folder/kernel"; echo module > "$folder/kernel/kvm.ko";;
    esac`,
};

let folder: string;
const said: string[] = [];
const options = { say: (line: string) => void said.push(line) };

beforeEach(() => {
  folder = temporaryFolder();
  said.length = 0;
  for (const [name, script] of Object.entries(tools)) {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  }
  mkdirSync(join(folder, 'tmp'));
  vi.stubEnv('STUB', folder);
  vi.stubEnv('VIRTIO', 'kernel/drivers/char/virtio_console.ko');
  vi.stubEnv('TMPDIR', join(folder, 'tmp'));
  vi.stubEnv('PATH', `${folder}:${process.env['PATH']}`);
  vi.stubEnv('HVIPI_CACHE', join(folder, 'cache'));
  mirrorHas(pieces);
  const depends = pieces.slice(1).map((name) => `${name} (= ${version})`);
  writeFileSync(join(folder, 'record'), `Package: ${pieces[0]}\nDepends: initramfs-tools, ${depends.join(', ')}\n`);
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe.runIf(hasKeys)('fetchDebianKernel', () => {
  it('should put a kernel together from its pieces, and leave nothing behind', async () => {
    const kernel = await fetchDebianKernel('debian:7.3', options);
    expect(kernel.release).toBe(release);
    expect(readFileSync(kernel.bzImage, 'utf8')).toBe('image\n');
    expect(readdirSync(kernel.moduleDir)).toEqual(['modules.builtin']);
    expect(said.at(-1)).toBe(`downloading linux-image-${release} ${version} (trixie-backports) in 4 pieces`);
    expect(readdirSync(join(folder, 'tmp'))).toEqual([]);
  });

  it('should ask the mirror once a day, and again for what it does not know', async () => {
    await fetchDebianKernel('debian:7.3', options);
    await fetchDebianKernel('debian:newest', options);
    expect(updates()).toBe(1);
    await expect(fetchDebianKernel('debian:9.9', options)).rejects.toThrow(/no suite of Debian has it/);
    expect(updates()).toBe(2);
  });

  it.each([
    ['debian:9.9', /^--kernel debian:9\.9: no suite of Debian has it; there are debian:7\.3$/],
    ['debian:6.12', /^--kernel debian:6\.12: no suite of Debian has it; there are debian:7\.3$/],
  ])('should name the series that there are when %s is none', async (spec, message) => {
    await expect(fetchDebianKernel(spec, options)).rejects.toThrow(message);
  });

  it('should name the piece that the mirror lacks', async () => {
    mirrorHas(pieces.filter((name) => !name.startsWith('linux-modules')));
    await expect(fetchDebianKernel('debian:7.3', options)).rejects.toThrow(
      /^linux-image-7\.3\.4\+deb13-amd64 7\.3\.4-1~bpo13\+1: the mirror lacks linux-modules-7\.3\.4\+deb13-amd64, [^\n]*$/,
    );
  });

  it('should not keep a kernel through which the lab cannot be reached', async () => {
    vi.stubEnv('VIRTIO', '');
    await expect(fetchDebianKernel('debian:7.3', options)).rejects.toThrow(
      /^--kernel debian:7\.3 \(7\.3\.4\+deb13-amd64\): this kernel has no virtio_console, [^\n]*$/,
    );
    expect(readdirSync(join(folder, 'cache/kernels'))).toEqual([]);
  });
});

function mirrorHas(names: readonly string[]): void {
  const line = (name: string): string =>
    `${name} | ${version} | http://mirror.example/debian trixie-backports/main amd64 Packages\n`;
  writeFileSync(join(folder, 'packages'), names.map(line).join(''));
}

function updates(): number {
  return readFileSync(join(folder, 'log'), 'utf8').split('\n').length - 1;
}
