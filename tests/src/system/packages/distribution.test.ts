import { describe, expect, it } from 'vitest';
import { parseOsRelease } from '../../../../src/system/packages/distribution.ts';
import { installCommand, neededTools, packagesOf } from '../../../../src/system/packages/tools.ts';

const tools = Object.values(neededTools);

describe('parseOsRelease', () => {
  it('should read quoted and bare values', () => {
    const text = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n';
    expect(parseOsRelease(text)).toEqual({
      family: 'debian',
      id: 'debian',
      name: 'Debian GNU/Linux 13 (trixie)',
      version: '13',
      codename: 'trixie',
    });
  });

  it.each([
    ['ID=ubuntu\nID_LIKE=debian', 'debian'],
    ['ID=linuxmint\nID_LIKE="ubuntu debian"', 'debian'],
    ['ID=pop\nID_LIKE=ubuntu', 'debian'],
    ['ID=fedora', 'fedora'],
    ['ID=rocky\nID_LIKE="rhel centos fedora"', 'fedora'],
    ['ID=manjaro\nID_LIKE=arch', 'arch'],
    ['ID=void', 'other'],
    ['', 'other'],
  ])('should know the family of %j: %s', (text, family) => {
    expect(parseOsRelease(text).family).toBe(family);
  });
});

describe('installCommand', () => {
  it.each([
    [
      'ID=debian',
      'sudo apt-get update && sudo apt-get install -y --no-install-recommends qemu-system-x86 busybox-static gcc libc6-dev',
    ],
    ['ID=fedora', 'sudo dnf install -y qemu-system-x86-core busybox gcc glibc-static'],
    ['ID=arch', 'sudo pacman -S --needed qemu-system-x86 busybox gcc'],
    ['ID=void', null],
  ])('should be exact for %s', (text, command) => {
    const distribution = parseOsRelease(text);
    const packages = packagesOf(tools, distribution);
    expect(installCommand(packages, distribution, false)).toBe(command);
    expect(installCommand(packages, distribution, true)).toBe(command?.replaceAll('sudo ', '') ?? null);
  });
});
