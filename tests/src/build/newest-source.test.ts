import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { BuildError } from '../../../src/build/make.ts';
import { chooseNewest, newestFirst } from '../../../src/build/newest-source.ts';
import type { Patch } from '../../../src/build/patch.ts';
import { InfrastructureError } from '../../../src/errors.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

const file = 'arch/x86/kvm/hyperv.c';
let root: string;
let told: string[];
const say = (line: string): number => told.push(line);
beforeEach(() => {
  root = temporaryFolder();
  told = [];
});

/** A tree whose one file has these lines. */
function makeTree(name: string, lines: readonly string[]): void {
  mkdirSync(join(root, name, 'arch/x86/kvm'), { recursive: true });
  writeFileSync(join(root, name, file), `${lines.join('\n')}\n`);
}

function patch(from: string, to: string): Patch {
  const diff = `--- a/${file}\n+++ b/${file}\n@@ -1,3 +1,3 @@\n first\n-${from}\n+${to}\n last\n`;
  return { from: '-', title: `${from} to ${to}`, diff };
}

const open = (spec: string) => Promise.resolve({ tree: join(root, spec), release: `${spec.slice(7)}.9` });

describe('chooseNewest', () => {
  it('should take the newest that a whole series applies to, say so, and leave every tree as it is', async () => {
    makeTree('debian:7.3', ['first', 'seven', 'last']);
    makeTree('debian:7.2', ['first', 'six', 'last']);
    makeTree('debian:6.12', ['first', 'six', 'last']);
    // The second one applies behind the first alone.
    const series = [patch('six', 'five'), patch('five', 'four')];
    const specs = ['debian:7.3', 'debian:7.2', 'debian:6.12'];
    expect(await chooseNewest(specs, series, { say }, open)).toBe('debian:7.2');
    expect(told[0]).toMatch(
      /^debian:7\.3 \(7\.3\.9\): six to five: arch\/x86\/kvm\/hyperv\.c: hunk 1 .* does not apply$/,
    );
    expect(told[1]).toBe('taking debian:7.2 (7.2.9), the newest that the patches apply to');
    expect(readFileSync(join(root, 'debian:7.2', file), 'utf8')).toBe('first\nsix\nlast\n');
    expect(await chooseNewest(specs, [patch('seven', 'eight')], { say }, open)).toBe('debian:7.3');
  });

  it('should name the newest and its hunk where a patch applies to none', async () => {
    makeTree('debian:7.3', ['first', 'seven', 'last']);
    makeTree('debian:6.12', ['first', 'six', 'last']);
    const choice = chooseNewest(['debian:7.3', 'debian:6.12'], [patch('one', 'two')], { say }, open);
    await expect(choice).rejects.toBeInstanceOf(BuildError);
    await expect(choice).rejects.toThrow(
      /^it applies to none of debian:7\.3, debian:6\.12; give --tree; the newest: one to two: arch\/x86\/kvm\/hyperv\.c: hunk 1 /,
    );
  });

  it('should go on to older ones where a source cannot be had', async () => {
    makeTree('debian:6.12', ['first', 'six', 'last']);
    const some = (spec: string) =>
      spec === 'debian:6.12'
        ? open(spec)
        : Promise.reject(new InfrastructureError('the mirror has no linux-source-7.3'));
    expect(await chooseNewest(['debian:7.3', 'debian:6.12'], [patch('six', 'five')], { say }, some)).toBe(
      'debian:6.12',
    );
    expect(told[0]).toBe('debian:7.3: the mirror has no linux-source-7.3');
    const none = chooseNewest(['debian:7.3'], [patch('six', 'five')], { say }, some);
    await expect(none).rejects.toThrow('no source can be had of debian:7.3; give --tree');
  });
});

describe('newestFirst', () => {
  it('should order series by their numbers, each once, and leave out what is too old', () => {
    const specs = ['debian:6.1', 'debian:7.3', 'debian:6.12', 'debian:5.10', 'debian:7.3', 'debian:7.10'];
    expect(newestFirst(specs)).toEqual(['debian:7.10', 'debian:7.3', 'debian:6.12', 'debian:6.1']);
  });
});
