import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { InfrastructureError } from '../../../../src/errors.ts';
import { parseOsRelease } from '../../../../src/system/packages/distribution.ts';
import { cacheRoot } from '../../../../src/system/cache.ts';
import { cachedKernels } from '../../../../src/lab/kernel/debian-kernel.ts';
import { UsageError } from '../../../../src/errors.ts';
import { defaultKernelOf, releaseOfImage, resolveKernel } from '../../../../src/lab/kernel/kernels.ts';
import { temporaryFolder } from '../../../temporary-folder.ts';

const options = { install: false, say: () => undefined } as const;
let folder: string;

beforeEach(() => {
  folder = temporaryFolder();
  vi.stubEnv('HVIPI_CACHE', join(folder, 'cache'));
});
afterEach(() => {
  vi.unstubAllEnvs();
});

describe('resolveKernel', () => {
  it('should take the newest kernel of the cache', async () => {
    for (const id of [
      'linux-image-6.12.9+deb12-amd64_6.12.9-1',
      'linux-image-6.12.117+deb12-amd64_6.12.117-1~deb12u1',
      'linux-image-6.1.0-53-amd64_6.1.187-1',
    ]) {
      mkdirSync(join(folder, 'cache/kernels', id), { recursive: true });
      writeFileSync(join(folder, 'cache/kernels', id, 'vmlinuz'), image('x'));
    }
    const kernel = await resolveKernel('debian:6.12', options);
    expect(kernel).toMatchObject({ spec: 'debian:6.12', release: '6.12.117+deb12-amd64' });
    expect(cachedKernels('6.1')).toHaveLength(1);
  });

  it('should name what is missing when it may not install', async () => {
    const error = await resolveKernel('debian:6.12', options).catch((reason: Error) => reason);
    expect(error).toBeInstanceOf(InfrastructureError);
    expect((error as Error).message).toContain('npm run -s hvipi -- lab install debian:6.12');
  });

  it('should have debian:newest be the newest of the cache when it may not ask', async () => {
    for (const id of ['linux-image-7.3-amd64_7.3~rc7-1~exp1', 'linux-image-7.3.4+deb13-amd64_7.3.4-1~bpo13+1']) {
      mkdirSync(join(folder, 'cache/kernels', id), { recursive: true });
      writeFileSync(join(folder, 'cache/kernels', id, 'vmlinuz'), image('x'));
    }
    const kernel = await resolveKernel('debian:newest', options);
    expect(kernel.release).toBe('7.3.4+deb13-amd64');
    expect(cachedKernels('7.3').map(({ release }) => release)).toEqual(['7.3.4+deb13-amd64', '7.3-amd64']);
  });

  it.each(['debian:six', '/nonesuch', 'FILE', 'FOLDER'])(
    'should refuse %s in one line that says what is accepted',
    async (spec) => {
      writeFileSync(join(folder, 'file'), 'hello');
      const path = spec.replace('FILE', join(folder, 'file')).replace('FOLDER', folder);
      const error = await resolveKernel(path, options).catch((reason: Error) => reason);
      expect(error).toBeInstanceOf(UsageError);
      expect((error as Error).message).toMatch(
        /^--kernel .*accepted are debian:6\.12 or another series, [^\n]*a bzImage[^\n]*$/,
      );
    },
  );

  it('should find image and modules of a build folder', async () => {
    mkdirSync(join(folder, 'arch/x86/boot'), { recursive: true });
    writeFileSync(join(folder, 'arch/x86/boot/bzImage'), image('6.12.0-test+ (me@here) #1'));
    writeFileSync(join(folder, 'modules.order'), '');
    const kernel = await resolveKernel(folder, options);
    expect(kernel).toMatchObject({ release: '6.12.0-test+', moduleDir: folder });
  });

  it('should find the modules of a distribution beside /boot', async () => {
    mkdirSync(join(folder, 'lib/modules/6.1.0-1'), { recursive: true });
    mkdirSync(join(folder, 'boot'));
    writeFileSync(join(folder, 'lib/modules/6.1.0-1/modules.order'), '');
    writeFileSync(join(folder, 'boot/vmlinuz-6.1.0-1'), image('6.1.0-1 (debian)'));
    const kernel = await resolveKernel(join(folder, 'boot/vmlinuz-6.1.0-1'), options);
    expect(kernel.moduleDir).toBe(join(folder, 'lib/modules/6.1.0-1'));
  });
});

describe('defaultKernelOf', () => {
  it.each([
    ['ID=debian\nVERSION_ID="12"', 'debian:6.12'],
    ['ID=debian\nVERSION_ID="13"', 'debian:6.12'],
    ['ID=ubuntu\nID_LIKE=debian', 'running'],
    ['ID=fedora', 'running'],
    ['ID=arch', 'running'],
    ['', 'running'],
  ])('should be, for %j, %s', (text, kernel) => {
    expect(defaultKernelOf(parseOsRelease(text))).toBe(kernel);
  });
});

describe('releaseOfImage', () => {
  it('should read the version text, and know an image without one', () => {
    writeFileSync(join(folder, 'a'), image('6.12.1 rest'));
    writeFileSync(join(folder, 'b'), image(null));
    expect([releaseOfImage(join(folder, 'a')), releaseOfImage(join(folder, 'b'))]).toEqual(['6.12.1', '']);
  });
});

describe('cacheRoot', () => {
  it('should follow HVIPI_CACHE, then XDG_CACHE_HOME, then the home folder', () => {
    expect(cacheRoot({ HVIPI_CACHE: '/a', XDG_CACHE_HOME: '/b' })).toBe('/a');
    expect(cacheRoot({ XDG_CACHE_HOME: '/b' })).toBe('/b/hvipi');
    expect(cacheRoot({})).toMatch(/\/\.cache\/hvipi$/);
  });
});

/** The start of a bzImage: magic at 0x202, place of the version text at 0x20e. */
function image(version: string | null): Buffer {
  const bytes = Buffer.alloc(0x400);
  bytes.write('HdrS', 0x202, 'latin1');
  if (version === null) return bytes;
  bytes.writeUInt16LE(0x100, 0x20e);
  bytes.write(version, 0x300, 'latin1');
  return bytes;
}
