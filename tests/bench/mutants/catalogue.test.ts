import { describe, expect, it } from 'vitest';
import { catalogue } from '../../../bench/mutants/catalogue/catalogue.ts';
import { newerEdits } from '../../../bench/mutants/catalogue/newer.ts';
import { laterMutants } from '../../../bench/mutants/catalogue/later.ts';
import { expectations, grades } from '../../../bench/mutants/mutant.ts';
import { editId } from '../../../bench/mutants/build.ts';

describe('the catalogue', () => {
  it('should have at least 100 mutants that show and 12 that do not', () => {
    const equivalent = catalogue.filter(({ expect: expected }) => expected === 'equivalent');
    expect(catalogue.length - equivalent.length).toBeGreaterThanOrEqual(100);
    expect(equivalent.length).toBeGreaterThanOrEqual(12);
  });

  it('should have mutants of every grade and every expectation', () => {
    expect(new Set(catalogue.map(({ grade }) => grade))).toEqual(new Set(grades));
    expect(new Set(catalogue.map(({ expect: expected }) => expected))).toEqual(new Set(expectations));
  });

  it('should give every mutant a name of its own that a file can have', () => {
    const names = catalogue.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^[a-z0-9]+(-[a-z0-9]+)*$/);
  });

  it('should not have the same edit twice, nor one that changes nothing', () => {
    expect(new Set(catalogue.map(editId)).size).toBe(catalogue.length);
    expect(catalogue.filter(({ find, replace }) => find === '' || find === replace)).toEqual([]);
  });

  it('should say of every mutant, in a line, what breaks and what shows it', () => {
    const isLine = (text: string): boolean => /^\S.{5,}$/.test(text);
    expect(catalogue.filter(({ mechanism, needs }) => !isLine(mechanism) || !isLine(needs))).toEqual([]);
  });

  it('should quote no more of the kernel than an edit needs', () => {
    expect(catalogue.filter(({ find }) => find.length > 240)).toEqual([]);
  });

  it('should have for newer kernels only other edits of mutants that there are', () => {
    const names = new Set(catalogue.map(({ name }) => name));
    for (const [name, { find, replace }] of Object.entries(newerEdits)) {
      expect(names).toContain(name);
      expect(find).not.toBe(replace);
      expect(find.length).toBeLessThanOrEqual(240);
    }
  });

  it('should say of what is left out what is missing', () => {
    for (const { what, missing } of laterMutants) {
      expect(what).not.toBe('');
      expect(missing).not.toBe('');
    }
  });
});
