/** A number that an option of a benchmark gives. @throws RangeError for anything but a whole number above 0. */
export function positive(text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new RangeError(`${text}: a whole number above 0 is needed`);
  return value;
}
