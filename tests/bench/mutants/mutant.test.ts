import { describe, expect, it } from 'vitest';
import { applyEdit, EditError, mutantsOf } from '../../../bench/mutants/mutant.ts';
import { aMutant } from './support.ts';

describe('applyEdit', () => {
  it('should replace the pattern and nothing else', () => {
    expect(applyEdit('if (a < b)\n\tc;\n', aMutant())).toBe('if (a <= b)\n\tc;\n');
  });

  it('should take patterns and replacements literally', () => {
    const mutant = aMutant({ find: '(a.*)', replace: "$& $1 $'" });
    expect(applyEdit('f(a.*);', mutant)).toBe("f$& $1 $';");
  });

  it('should refuse a pattern that is not there', () => {
    expect(() => applyEdit('if (a > b)', aMutant())).toThrow(EditError);
    expect(() => applyEdit('if (a > b)', aMutant())).toThrow('one: its pattern is not in hyperv.c');
  });

  it('should refuse a pattern that is there twice, also where the two overlap', () => {
    expect(() => applyEdit('a < b; a < b;', aMutant())).toThrow('more than once');
    expect(() => applyEdit('xxx', aMutant({ find: 'xx', replace: 'y' }))).toThrow('more than once');
  });
});

describe('mutantsOf', () => {
  it('should put the file in, and expect a divergence unless told otherwise', () => {
    const { file: _file, expect: _expect, ...entry } = aMutant();
    const [first, second] = mutantsOf('lapic.c', [entry, { ...entry, expect: 'oops' }]);
    expect(first).toMatchObject({ file: 'lapic.c', expect: 'divergence' });
    expect(second).toMatchObject({ file: 'lapic.c', expect: 'oops' });
  });
});
