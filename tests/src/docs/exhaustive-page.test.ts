import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { casesOf, spaces } from '../../../generators/spaces/spaces.ts';
import { caseId, formatCase, parseCase } from '../../../src/case/case.ts';
import { exhaustivePage } from '../../../src/docs/exhaustive-page.ts';
import { checkCase } from '../../../src/case/checks.ts';

const root = join(import.meta.dirname, '..', '..', '..');

describe('exhaustivePage', () => {
  it('should be what is checked in; `npm run docs` writes it', () => {
    expect(readFileSync(join(root, 'docs', 'exhaustive.md'), 'utf8')).toBe(exhaustivePage());
  });
});

describe('casesOf', () => {
  it.each(spaces.filter(({ name }) => name !== 'headers'))(
    'should make only cases that fit together in $name',
    (space) => {
      for (const { value } of casesOf(space)) expect([...checkCase(value)]).toEqual([]);
    },
  );

  it.each(spaces.filter(({ name }) => name !== 'headers'))('should never say a case twice in $name', (space) => {
    const ids = [...casesOf(space)].map(({ value }) => caseId(value));
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('should make cases that have a text', () => {
    for (const space of spaces) {
      const [first] = casesOf(space);
      expect(parseCase(formatCase(first!.value))).toEqual(first!.value);
    }
  });

  it('should give each legal vector once in a case, so that every delivery shows', () => {
    for (const space of spaces.filter(({ name }) => name === 'sets' || name === 'entries')) {
      for (const { value } of casesOf(space)) {
        const legal = value.steps.flatMap((step) =>
          'vector' in step && step.vector >= 0x10 && step.vector <= 0xff ? [step.vector] : [],
        );
        expect(new Set(legal).size).toBe(legal.length);
      }
    }
  });
});
