/** Which distribution this computer has, as os-release(5) says. */
import { readFileSync } from 'node:fs';

/** Distributions whose package tools and names are known here; `other` stands for all that are not. */
export type Family = 'debian' | 'fedora' | 'arch' | 'other';

export interface Distribution {
  readonly family: Family;
  /** ID, like `debian` or `ubuntu`. */
  readonly id: string;
  /** For a person: PRETTY_NAME. */
  readonly name: string;
  /** VERSION_ID; "" for those that roll. */
  readonly version: string;
  /** VERSION_CODENAME, like `trixie`; "" when there is none. */
  readonly codename: string;
}

const places = ['/etc/os-release', '/usr/lib/os-release'];

/** The distribution of this computer. */
export function thisDistribution(): Distribution {
  for (const place of places) {
    try {
      return parseOsRelease(readFileSync(place, 'utf8'));
    } catch {
      // The next place may have it.
    }
  }
  return parseOsRelease('');
}

/** os-release(5): lines of NAME=value, the value bare or quoted as a shell would. */
export function parseOsRelease(text: string): Distribution {
  const fields = new Map(
    text.split('\n').flatMap((line): [string, string][] => {
      const match = /^([A-Z_0-9]+)=(?:"(.*)"|'(.*)'|(.*))$/.exec(line.trim());
      return match === null ? [] : [[match[1]!, match[2] ?? match[3] ?? match[4]!]];
    }),
  );
  const id = fields.get('ID') ?? 'linux';
  const likes = new Set([id, ...(fields.get('ID_LIKE') ?? '').split(' ')]);
  const family = (['debian', 'fedora', 'arch'] as const).find((name) => likes.has(name)) ?? 'other';
  return {
    family: family === 'other' && likes.has('ubuntu') ? 'debian' : family,
    id,
    name: fields.get('PRETTY_NAME') ?? id,
    version: fields.get('VERSION_ID') ?? '',
    codename: fields.get('VERSION_CODENAME') ?? '',
  };
}
