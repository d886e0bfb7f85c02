/** What a mutant is: one edit of one file of KVM, with what it breaks and what a case needs to show it. */

/** How far a case that shows the mutant is from an arbitrary call. */
export type Grade = 'easy' | 'medium' | 'hard';
/** What should be reported: a class of findings, or nothing. */
export type Expectation = 'divergence' | 'oops' | 'warning' | 'hang' | 'equivalent';

export const grades: readonly Grade[] = ['easy', 'medium', 'hard'];
export const expectations: readonly Expectation[] = ['divergence', 'oops', 'warning', 'hang', 'equivalent'];

export interface Mutant {
  readonly name: string;
  /** Path below arch/x86/kvm. */
  readonly file: string;
  /** Occurs exactly once in the file, as short as that allows. */
  readonly find: string;
  readonly replace: string;
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

/** An edit that cannot be applied: the pattern is not there, or not the only one. */
export class EditError extends Error {
  override name = 'EditError';
}

/**
 * The text with the mutant's edit.
 *
 * @throws EditError unless the pattern occurs exactly once.
 */
export function applyEdit(text: string, { name, file, find, replace }: Mutant): string {
  const first = text.indexOf(find);
  if (first === -1) throw new EditError(`${name}: its pattern is not in ${file}`);
  if (text.includes(find, first + 1)) throw new EditError(`${name}: its pattern is more than once in ${file}`);
  return text.slice(0, first) + replace + text.slice(first + find.length);
}
