/** One edit of one file of a kernel source, named by the text that it replaces. */

export interface Edit {
  /** Path of the file. */
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly find: string;
  readonly replace: string;
}

/** An edit that cannot be applied: the text is not there, or not the only one. */
export class EditError extends Error {
  override name = 'EditError';
}

/**
 * The text with the edit.
 *
 * @throws EditError unless the text to replace occurs exactly once; `name` is whose edit it is.
 */
export function applyEdit(text: string, { file, find, replace }: Edit, name: string): string {
  const first = text.indexOf(find);
  if (first === -1) throw new EditError(`${name}: its pattern is not in ${file}`);
  if (text.includes(find, first + 1)) throw new EditError(`${name}: its pattern is more than once in ${file}`);
  return text.slice(0, first) + replace + text.slice(first + find.length);
}
