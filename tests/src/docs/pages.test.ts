import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..', '..', '..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const markdown = (folder: string): string[] =>
  readdirSync(join(root, folder)).flatMap((name) => (name.endsWith('.md') ? [`${folder}/${name}`] : []));
const pages = [...markdown('docs'), ...markdown('docs/findings'), ...markdown('findings')];

describe('pages', () => {
  it.each(pages)('should say below its title for whom %s is', (page) => {
    expect(read(page)).toMatch(/^# .+\n\n_For .+/);
  });

  it.each([...markdown('docs'), 'docs/findings/README.md', 'findings/README.md'])('should be led to: %s', (page) => {
    expect(read('README.md')).toContain(`(${page})`);
  });

  it('should have a line for each script of findings/, and no other lines', () => {
    const scripts = readdirSync(join(root, 'findings')).flatMap((name) => /^(.+)\.sh$/.exec(name)?.[1] ?? []);
    const listed = [...read('findings/README.md').matchAll(/^\| `([\w.-]+)`/gm)].map(([, name]) => name!);
    expect(listed.toSorted()).toEqual(scripts.toSorted());
  });
});
