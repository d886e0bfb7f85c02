import { describe, expect, it } from 'vitest';
import { applyEdit, EditError } from '../../../../../src/system/edit.ts';
import { bochsEdits } from '../../../../../src/lab/emulator/bochs/edits.ts';

describe('bochsEdits', () => {
  it('should name each edit once, say what is wrong without it, and change something', () => {
    expect(new Set(bochsEdits.map(({ name }) => name)).size).toBe(bochsEdits.length);
    for (const { wrong, find, replace } of bochsEdits) {
      expect(wrong.length).toBeGreaterThan(5);
      expect(replace).not.toBe(find);
    }
  });

  it('should quote few words of Bochs, in at most two lines', () => {
    for (const { find } of bochsEdits) {
      expect(find.split('\n').length).toBeLessThanOrEqual(2);
      expect(find.length).toBeLessThan(140);
    }
  });

  it('should apply where each text is there once, and refuse any other source', () => {
    const files = [...new Set(bochsEdits.map(({ file }) => file))];
    for (const file of files) {
      const edits = bochsEdits.filter((edit) => edit.file === file);
      const source = edits.map(({ find }) => `before\n${find}\nbehind\n`).join('');
      const edited = edits.reduce((text, edit) => applyEdit(text, edit, edit.name), source);
      for (const { replace } of edits) expect(edited).toContain(replace);
      for (const edit of edits) expect(() => applyEdit(source + source, edit, edit.name)).toThrow(EditError);
    }
  });
});
