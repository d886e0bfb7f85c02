import { describe, expect, it } from 'vitest';
import {
  byPreference,
  compareVersions,
  isMeta,
  type KernelPackage,
  releaseOfPackage,
  seriesOf,
} from '../../../../src/lab/kernel/debian-release.ts';

const offer = (name: string, version: string): KernelPackage => ({ name, version, suite: 'x' });

describe('releaseOfPackage', () => {
  it.each([
    ['linux-image-5.10.0-32-amd64', '5.10.0-32-amd64'],
    ['linux-image-6.1.0-57-amd64', '6.1.0-57-amd64'],
    ['linux-image-6.1.0-0.deb11.21-amd64', '6.1.0-0.deb11.21-amd64'],
    ['linux-image-6.12.117+deb12-amd64', '6.12.117+deb12-amd64'],
    ['linux-image-6.12.90+deb13.1-amd64', '6.12.90+deb13.1-amd64'],
    ['linux-image-6.12.12+bpo-amd64', '6.12.12+bpo-amd64'],
    ['linux-image-7.3-amd64', '7.3-amd64'],
    ['linux-image-7.4-rc2-amd64', '7.4-rc2-amd64'],
  ])('should read %s', (name, release) => {
    expect(releaseOfPackage(name)).toBe(release);
  });

  it.each([
    'linux-image-amd64',
    'linux-image-6.12.117+deb12-cloud-amd64',
    'linux-image-6.12.117+deb12-rt-amd64',
    'linux-image-6.12.117+deb12-amd64-unsigned',
    'linux-image-6.12.117+deb12-amd64-dbg',
    'linux-image-6.12.117+deb13-arm64',
    'linux-binary-7.3.4+deb13-amd64',
    'linux-image-cloud-amd64',
  ])('should leave %s alone', (name) => {
    expect(releaseOfPackage(name)).toBeNull();
  });
});

describe('seriesOf', () => {
  it('should take two numbers', () => {
    expect(['6.1.0-57-amd64', '6.12.117+deb12-amd64', '7.3-amd64'].map(seriesOf)).toEqual(['6.1', '6.12', '7.3']);
  });
});

describe('isMeta', () => {
  it('should tell the name of the newest 6.12 from the kernel 7.3-rc7', () => {
    expect(isMeta(offer('linux-image-6.12-amd64', '6.12.117-1~deb12u1'))).toBe(true);
    expect(isMeta(offer('linux-image-7.3-amd64', '7.3~rc7-1~exp1'))).toBe(false);
    expect(isMeta(offer('linux-image-7.3-amd64', '7.3-1~exp1'))).toBe(false);
    expect(isMeta(offer('linux-image-6.1.0-57-amd64', '6.1.192-3'))).toBe(false);
  });
});

describe('byPreference', () => {
  it('should take the newest source, and of equal ones the one built for this Debian', () => {
    const offers = [
      offer('linux-image-6.12.117+deb12-amd64', '6.12.117-1~deb12u1'),
      offer('linux-image-6.12.117+deb13-amd64', '6.12.117-1'),
      offer('linux-image-6.12.90+deb13.1-amd64', '6.12.90-2'),
      offer('linux-image-6.12.90+deb13-amd64', '6.12.90-1'),
      offer('linux-image-7.3-amd64', '7.3~rc7-1~exp1'),
      offer('linux-image-7.3.4+deb13-amd64', '7.3.4-1~bpo13+1'),
    ];
    const order = (debian: string) => [...offers].sort(byPreference(debian)).map(({ name }) => name.slice(12, -6));
    expect(order('12')).toEqual([
      '7.3.4+deb13',
      '7.3',
      '6.12.117+deb12',
      '6.12.117+deb13',
      '6.12.90+deb13.1',
      '6.12.90+deb13',
    ]);
    expect(order('13').slice(2, 4)).toEqual(['6.12.117+deb13', '6.12.117+deb12']);
    expect(order('').slice(2, 4)).toEqual(['6.12.117+deb13', '6.12.117+deb12']);
  });
});

describe('compareVersions', () => {
  it.each([
    ['6.12.9-1', '6.12.117-1'],
    ['7.3~rc7-1', '7.3-1'],
    ['7.3~rc7-1', '7.3.4-1'],
    ['7.3~rc7-1', '7.3~rc10-1'],
    ['7.2.12-1~bpo13+1', '7.2.12-1'],
    ['6.12.90-1', '6.12.90-2~bpo12+1'],
    ['1.0', '1.0a'],
    ['1.0a', '1.0+'],
  ])('should put %s before %s', (a, b) => {
    expect(compareVersions(a, b)).toBeLessThan(0);
    expect(compareVersions(b, a)).toBeGreaterThan(0);
    expect(compareVersions(a, a)).toBe(0);
  });
});
