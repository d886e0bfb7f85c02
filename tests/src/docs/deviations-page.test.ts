import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { deviations } from '../../../oracle/tlfs/deviations.ts';
import { parseCase } from '../../../src/case/case.ts';
import { deviationsPage } from '../../../src/docs/deviations-page.ts';

const root = join(import.meta.dirname, '..', '..', '..');
const read = (...path: string[]): string => readFileSync(join(root, ...path), 'utf8');
const cases = new Map(deviations.map(({ name }) => [name, parseCase(read('corpus', 'known', `${name}.json`))]));

describe('deviationsPage', () => {
  it('should be what is checked in; `npm run docs` writes it', () => {
    expect(read('docs', 'deviations.md')).toBe(deviationsPage(cases));
  });

  it('should say which case is missing', () => {
    expect(() => deviationsPage(new Map())).toThrow('corpus/known/bad-vector-status.json is missing');
  });
});
