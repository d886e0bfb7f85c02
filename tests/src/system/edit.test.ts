import { describe, expect, it } from 'vitest';
import { applyEdit, EditError } from '../../../src/system/edit.ts';

const edit = { file: 'hyperv.c', find: 'a < b', replace: 'a <= b' };

describe('applyEdit', () => {
  it('should replace the text and nothing else', () => {
    expect(applyEdit('if (a < b)\n\tc;\n', edit, 'one')).toBe('if (a <= b)\n\tc;\n');
  });

  it('should take texts literally', () => {
    expect(applyEdit('f(a.*);', { ...edit, find: '(a.*)', replace: "$& $1 $'" }, 'one')).toBe("f$& $1 $';");
  });

  it('should refuse a text that is not there', () => {
    expect(() => applyEdit('if (a > b)', edit, 'one')).toThrow(EditError);
    expect(() => applyEdit('if (a > b)', edit, 'one')).toThrow('one: its pattern is not in hyperv.c');
  });

  it('should refuse a text that is there twice, also where the two overlap', () => {
    expect(() => applyEdit('a < b; a < b;', edit, 'one')).toThrow('more than once');
    expect(() => applyEdit('xxx', { ...edit, find: 'xx', replace: 'y' }, 'one')).toThrow('more than once');
  });
});
