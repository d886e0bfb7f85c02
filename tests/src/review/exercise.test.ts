import { describe, expect, it } from 'vitest';
import { describeExercises, type Exercise, exercised, exercisesOf, neverRan } from '../../../src/review/exercise.ts';
import { type LineCounts, mergeCounts } from '../../../src/counts/line-counts.ts';
import { parsePlaces } from '../../../src/review/touched.ts';

const file = 'arch/x86/kvm/hyperv.c';
const countsOf = (lines: Readonly<Record<number, number>>): LineCounts => {
  const functions = [{ name: 'f', start: 10, end: 20, count: 1 }];
  const entries = Object.entries(lines).map(([line, count]) => [Number(line), { count, least: count }] as const);
  return new Map([[file, { lines: new Map(entries), functions }]]);
};
const exerciseOf = (diff: string, base: LineCounts, kernel = base): Exercise[] =>
  exercisesOf(parsePlaces(file, `--- a\n+++ b\n${diff}`), { base, kernel });

const change = '@@ -12 +12,2 @@ int f(void)\n-a\n+b\n+c\n';

describe('exercisesOf', () => {
  it('should count lines that are taken away before, and lines that are put in after', () => {
    const [one] = exerciseOf(change, countsOf({ 12: 3 }), countsOf({ 12: 0, 13: 7 }));

    expect(one).toMatchObject({ before: 3, after: 7 });
  });

  it('should count a line without code with the statement before it', () => {
    expect(exerciseOf(change, countsOf({ 10: 9, 11: 4, 14: 1 }))[0]).toMatchObject({ before: 4, after: 4 });
  });

  it('should not take a statement for one that ran whose branch may never have been taken', () => {
    const diff = '@@ -12 +12 @@ int f(void)\n-\t\treturn 3;\n+\t\treturn 5;\n';
    const functions = [{ name: 'f', start: 10, end: 20, count: 9 }];
    const counts = (least: number): LineCounts => {
      return new Map([[file, { lines: new Map([[11, { count: 9, least }]]), functions }]]);
    };

    expect(exerciseOf(diff, counts(0))[0]).toMatchObject({ before: 0, after: 0 });
    expect(exerciseOf(diff, counts(2))[0]).toMatchObject({ before: 2, after: 2 });
    expect(exerciseOf(change, counts(0))[0]).toMatchObject({ before: 9, after: 9 });
  });

  it('should know nothing of what is outside of functions, and of files that do not count', () => {
    const declaration = '@@ -2 +2 @@\n-struct a;\n+struct b;\n';

    expect(exerciseOf(declaration, countsOf({ 1: 5 }))[0]).toMatchObject({ before: null, after: null });
    expect(exerciseOf(change, new Map())[0]).toMatchObject({ before: null, after: null });
  });

  it('should have nothing before where lines only come', () => {
    expect(exerciseOf('@@ -11,0 +12 @@ int f(void)\n+b\n', countsOf({ 12: 2 }))[0]).toMatchObject({
      before: null,
      after: 2,
    });
  });
});

describe('exercised', () => {
  const two = `${change}@@ -18 +19 @@ int f(void)\n-d\n+e\n`;

  it.each([
    [{ 12: 1, 18: 1, 19: 1 }, 'all'],
    [{ 12: 1, 18: 0, 19: 0 }, 'some'],
    [{ 12: 0, 13: 0, 18: 0, 19: 0 }, 'none'],
    [{}, 'unknown'],
  ] as const)('should make of %j that %s ran', (lines, wanted) => {
    expect(exercised(exerciseOf(two, countsOf(lines)))).toBe(wanted);
  });

  it('should not be all where a line of a place did not run', () => {
    const exercises = exerciseOf(change, countsOf({ 12: 1200, 13: 0 }));

    expect(exercised(exercises)).toBe('some');
    expect(describeExercises(exercises)).toEqual([`f (${file}:12-13): ran 1,200 before, 1,200 after, but for 1 line`]);
    expect(neverRan(exercises)).toEqual([`f (${file}:13)`]);
  });

  it('should not be all where no branch of a check led to what it guards', () => {
    const check = '@@ -11,0 +12,2 @@ int f(void)\n+\tif (a)\n+\t\treturn 3;\n';
    const functions = [{ name: 'f', start: 10, end: 20, count: 9 }];
    const counts = (least: number): LineCounts =>
      new Map([[file, { lines: new Map([[12, { count: 9, least }]]), functions }]]);

    expect(exercised(exerciseOf(check, counts(4)))).toBe('all');
    expect(exercised(exerciseOf(check, counts(0)))).toBe('some');
    expect(neverRan(exerciseOf(check, counts(0)))).toEqual([`f (${file}:13)`]);
  });

  it('should not be all where only a part of what is taken away ran', () => {
    const gone = '@@ -12,2 +11,0 @@ int f(void)\n-\tif (a)\n-\t\tg();\n';

    expect(exercised(exerciseOf(gone, countsOf({ 12: 5, 13: 0 })))).toBe('some');
    expect(exercised(exerciseOf(gone, countsOf({ 12: 5, 13: 2 })))).toBe('all');
  });

  it('should be told by function and line', () => {
    const exercises = exerciseOf(two, countsOf({ 12: 1200, 13: 5, 18: 0, 19: 0 }));

    expect(describeExercises(exercises)).toEqual([`f (${file}:12-13,19): 1 of 2 places ran 1,200 before, 1,200 after`]);
    expect(neverRan(exercises)).toEqual([`f (${file}:19)`]);
  });
});

describe('mergeCounts', () => {
  it('should add up what several objects say of one header, below the tree', () => {
    const object = (folder: string, path: string, count: number) => ({
      current_working_directory: folder,
      files: [{ file: path, lines: [{ line_number: 4, count, branches: [{ count: 1 }] }], functions: [] }],
    });

    const merged = mergeCounts(
      [object('/work', '/tree/virt/x.h', 2), object('/real/tree/arch/x86/kvm', '../../../virt/x.h', 3)],
      ['/tree', '/real/tree'],
    );

    expect(merged.get('virt/x.h')!.lines.get(4)).toEqual({ count: 5, least: 2 });
  });
});
