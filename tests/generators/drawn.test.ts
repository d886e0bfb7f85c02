import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { drawn } from '../../generators/drawn.ts';
import { itKeepsTheLaws } from './laws.ts';

const arbitrary = drawn({
  plan: fc.array(fc.nat(9), { maxLength: 6 }),
  build: (plan: readonly number[]) => plan.join(''),
  shape: fc.array(fc.nat(9), { maxLength: 100 }),
  shapesOf: (text) => [[...(text as string)].map(Number)],
  leapsFrom: (digits) => [[...digits].reverse()],
  ofShape: (digits: readonly number[]) => digits.join(''),
  isValid: (text) => text.length !== 4,
  isSimpler: (a, b) => a.length < b.length || (a.length === b.length && a < b),
  keyOf: (text) => text,
});

describe('drawn', () => {
  itKeepsTheLaws<string>({ arbitrary, expectValid: (text) => expect(text).toMatch(/^\d*$/), keyOf: (text) => text });

  it('should shrink a drawn value and a given one alike', () => {
    const property = fc.property(arbitrary, (text) => !/[5-9].*3/.test(text));
    const drawnOnce = fc.check(property, { seed: 42, numRuns: 2000 });
    const given = fc.check(property, { seed: 42, numRuns: 1, examples: [['1234567834567']] });
    expect(drawnOnce.counterexample).toEqual(['53']);
    expect(given.counterexample).toEqual(['53']);
  });

  it('should leap where no single change leads', () => {
    const property = fc.property(arbitrary, (text) => !/^(12|21)$/.test(text));
    const details = fc.check(property, { seed: 42, numRuns: 1, examples: [['21']] });
    expect(details.counterexample).toEqual(['12']);
  });

  it('should go over the value again after the last success, as what failed before may succeed then', () => {
    // Only with an even number of digits may a digit become 0; arrays try that once, at whatever length it is then.
    const fails = (text: string) => text.length >= 2 && (text.length % 2 === 0 || !text.includes('0'));
    const property = fc.property(arbitrary, (text) => !fails(text));
    const details = fc.check(property, { seed: 42, numRuns: 1, examples: [['98765']] });
    expect(details.counterexample).toEqual(['00']);
  });
});
