import { describe, expect, it } from 'vitest';
import { mutantsOf } from '../../../bench/mutants/mutant.ts';
import { aMutant } from './support.ts';

describe('mutantsOf', () => {
  it('should put the file in, and expect a divergence unless told otherwise', () => {
    const { file: _file, expect: _expect, ...entry } = aMutant();
    const [first, second] = mutantsOf('lapic.c', [entry, { ...entry, expect: 'oops' }]);
    expect(first).toMatchObject({ file: 'lapic.c', expect: 'divergence' });
    expect(second).toMatchObject({ file: 'lapic.c', expect: 'oops' });
  });
});
