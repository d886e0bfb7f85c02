import { describe, expect, it } from 'vitest';
import { formatSources, mirrorsAmong } from '../../../../src/lab/kernel/debian-lists.ts';
import { parseMadison, pieceNames } from '../../../../src/lab/kernel/debian-packages.ts';

const main = { uri: 'http://mirror.example/debian/', suite: 'bookworm' };
const security = { uri: 'http://mirror.example/debian-security/', suite: 'bookworm-security' };
const other = { uri: 'https://other.example/apt', suite: 'nodistro' };

describe('mirrorsAmong', () => {
  it("should find Debian's archive and its security archive among others", () => {
    expect(mirrorsAmong([other, security, main])).toEqual({ main: main.uri, security: security.uri });
  });

  it('should do without a security archive, and know suites by their other names', () => {
    expect(mirrorsAmong([{ ...main, suite: 'unstable' }])).toEqual({ main: main.uri, security: null });
    expect(mirrorsAmong([{ ...main, suite: 'trixie-backports' }]).main).toBe(main.uri);
  });

  it.each([
    [
      'Ubuntu',
      [
        { uri: 'http://mirror.example/ubuntu/', suite: 'noble' },
        { ...main, suite: 'noble-security' },
      ],
    ],
    ['a disc', [{ uri: 'cdrom:[Debian GNU/Linux 13]/', suite: 'trixie' }]],
    ['nothing', []],
  ])('should say what to give when there is only %s', (_, repositories) => {
    expect(() => mirrorsAmong(repositories)).toThrow(/which has none; give --kernel running, a bzImage/);
  });
});

describe('formatSources', () => {
  it('should ask for lists of packages alone, signed by the keys that are given', () => {
    const text = formatSources({ main: main.uri, security: security.uri }, '/keys.gpg');
    const stanzas = text.split('\n\n');
    expect(stanzas).toHaveLength(2);
    expect(stanzas[0]).toMatch(/^URIs: http:\/\/mirror\.example\/debian\/$/m);
    expect(stanzas[0]).toMatch(/^Suites: .*\btrixie-backports\b.*\bsid\b.*\bexperimental$/m);
    expect(stanzas[1]).toMatch(/^Suites: .*\btrixie-security\b/m);
    for (const stanza of stanzas) {
      expect(stanza).toMatch(/^Targets: Packages$/m);
      expect(stanza).toMatch(/^Signed-By: \/keys\.gpg$/m);
    }
    expect(formatSources({ main: main.uri, security: null }, '/k')).not.toContain('security');
  });
});

describe('pieceNames', () => {
  it('should take packages of the same release and nothing else', () => {
    const record = [
      'Package: linux-image-7.3.4+deb13-amd64',
      'Pre-Depends: linux-base (>= 4.17~)',
      'Depends: dracut | initramfs-tools (>= 0.120+deb8u2), linux-base-7.3.4+deb13-amd64 (= 7.3.4-1), ' +
        'linux-binary-7.3.4+deb13-amd64 (= 7.3.4-1), linux-modules-7.3.4+deb13-amd64 (= 7.3.4-1)',
    ].join('\n');
    expect(pieceNames(record, '7.3.4+deb13-amd64')).toEqual([
      'linux-base-7.3.4+deb13-amd64',
      'linux-binary-7.3.4+deb13-amd64',
      'linux-modules-7.3.4+deb13-amd64',
    ]);
    expect(pieceNames('Depends: kmod, linux-initramfs-tool', '6.12.117+deb12-amd64')).toEqual([]);
  });
});

describe('parseMadison', () => {
  it('should read name, version and suite', () => {
    const text = [
      'linux-image-7.3.4+deb13-amd64 | 7.3.4-1~bpo13+1 | http://mirror.example/debian trixie-backports/main amd64 Packages',
      'linux-image-7.2.13+deb14-amd64 |   7.2.13-1 | http://mirror.example/debian sid/main amd64 Packages',
      'linux | 7.2.13-1 | http://mirror.example/debian sid/main Sources',
      '',
    ].join('\n');
    expect(parseMadison(text)).toEqual([
      { name: 'linux-image-7.3.4+deb13-amd64', version: '7.3.4-1~bpo13+1', suite: 'trixie-backports' },
      { name: 'linux-image-7.2.13+deb14-amd64', version: '7.2.13-1', suite: 'sid' },
    ]);
  });
});
