/** What a mutant is: one edit of one file of KVM, with what it breaks and what a case needs to show it. */
import type { Edit } from '../../src/system/edit.ts';

/** How far a case that shows the mutant is from an arbitrary call. */
export type Grade = 'easy' | 'medium' | 'hard';
/** What should be reported: a class of findings, or nothing. */
export type Expectation = 'divergence' | 'oops' | 'warning' | 'hang' | 'equivalent';

export const grades: readonly Grade[] = ['easy', 'medium', 'hard'];
export const expectations: readonly Expectation[] = ['divergence', 'oops', 'warning', 'hang', 'equivalent'];

/** Its file is below arch/x86/kvm; what it replaces is as short as its being there once allows. */
export interface Mutant extends Edit {
  readonly name: string;
  /** What breaks, in a line. */
  readonly mechanism: string;
  readonly grade: Grade;
  /** What a case needs to show it; for an equivalent one, why none can. */
  readonly needs: string;
  readonly expect: Expectation;
}

/** A mutant as it stands in the catalogue: those of a file together, and `expect` only where it is no divergence. */
export type MutantEntry = Omit<Mutant, 'file' | 'expect'> & { readonly expect?: Expectation };

export function mutantsOf(file: string, entries: readonly MutantEntry[]): Mutant[] {
  return entries.map((entry) => ({ expect: 'divergence', ...entry, file }));
}
