/** Names and versions of Debian's kernel packages. */

/** A kernel package as the lists have it. */
export interface KernelPackage {
  /** `linux-image-6.12.117+deb12-amd64`. */
  readonly name: string;
  readonly version: string;
  /** Suite that has it, like `trixie-backports`. */
  readonly suite: string;
}

/**
 * `uname -r` of a package, by its name; null for names of other packages: cloud, rt, unsigned and dbg, arm64.
 * There are `6.1.0-57-amd64`, `6.12.117+deb12-amd64`, `6.12.90+deb13.1-amd64`, `6.12.43+bpo-amd64`, and `7.3-amd64` for 7.3-rc7.
 */
export function releaseOfPackage(name: string): string | null {
  return (
    /^linux-image-(\d+\.\d+(?:\.\d+)?(?:-rc\d+)?(?:\+[a-z0-9.]+)?(?:-[0-9.]+(?:\.deb\d+\.\d+)?)?-amd64)$/.exec(
      name,
    )?.[1] ?? null
  );
}

/** `6.12` of a release or a version that begins with it. */
export function seriesOf(text: string): string {
  return /^\d+\.\d+/.exec(text)![0];
}

/**
 * Whether a package has a kernel in it or stands for the newest one: `linux-image-6.12-amd64` is a mere name for 6.12.117,
 * while `linux-image-7.3-amd64` is the kernel 7.3-rc7. The release of a kernel names its version, or has an ABI number.
 */
export function isMeta({ name, version }: KernelPackage): boolean {
  const release = releaseOfPackage(name) ?? '';
  return /^\d+\.\d+-amd64$/.test(release) && upstreamOf(version).split('~')[0] !== seriesOf(release);
}

/**
 * The best first: the newest source; of equal ones the one that was built for this release of Debian, because this
 * computer's compiler is the one that built it.
 */
export function byPreference(debianVersion: string): (a: KernelPackage, b: KernelPackage) => number {
  const isOwn = ({ name }: KernelPackage): number => Number(new RegExp(`\\+deb${debianVersion}\\b`).test(name));
  return (a, b) =>
    compareVersions(upstreamOf(b.version), upstreamOf(a.version)) ||
    isOwn(b) - isOwn(a) ||
    compareVersions(b.version, a.version);
}

/** The version without epoch and Debian's revision (deb-version(7)). */
export function upstreamOf(version: string): string {
  return version.replace(/^\d+:/, '').replace(/-[^-]*$/, '');
}

/** Order of versions of Debian packages without epoch (deb-version(7), "Sorting algorithm"). */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [split(a), split(b)];
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const [one, other] = [left[index] ?? '', right[index] ?? ''];
    const order = index % 2 === 0 ? compareText(one, other) : Number(one) - Number(other);
    if (order !== 0) return order;
  }
  return 0;
}

/** Parts without and with digits, in turns; the first has none. */
function split(version: string): string[] {
  return version.split(/(\d+)/);
}

/** Character by character: "~" before the end, the end before letters, letters before all else. */
function compareText(a: string, b: string): number {
  for (let index = 0; index < Math.max(a.length, b.length); index++) {
    const order = rank(a[index]) - rank(b[index]);
    if (order !== 0) return order;
  }
  return 0;
}

function rank(character: string | undefined): number {
  if (character === undefined) return 0;
  if (character === '~') return -1;
  const code = character.charCodeAt(0);
  return /[A-Za-z]/.test(character) ? code : code + 256;
}
