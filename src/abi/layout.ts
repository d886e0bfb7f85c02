/**
 * Bit layouts declared once as data. Everything that knows where a field sits (encode, decode, describe, the edge
 * values that generators draw) is derived from the declaration; the declaration itself is pinned by literal bytes in
 * `tests/abi`.
 */

/** One field: its width in bits and what it means, lowest field first. */
export interface Field<Name extends string = string> {
  readonly name: Name;
  readonly bits: number;
  readonly meaning: string;
}

/** A placed field: `shift` is the number of the field's lowest bit. */
export interface PlacedField<Name extends string = string> extends Field<Name> {
  readonly shift: number;
}

/** A bit layout of `bits` bits; field names are part of the type. */
export interface Layout<Name extends string> {
  readonly name: string;
  readonly bits: number;
  readonly fields: readonly PlacedField<Name>[];
}

/** A value of every field of a layout. */
export type FieldValues<Name extends string> = Record<Name, bigint>;

/**
 * Declares a layout, lowest field first.
 *
 * @throws Error when the widths do not add up to `bits` or a name stands twice: a layout has no gaps and no overlaps.
 */
export function defineLayout<const Name extends string>(
  name: string,
  bits: number,
  fields: readonly Field<Name>[],
): Layout<Name> {
  let shift = 0;
  const placed = fields.map((field) => {
    const place = { ...field, shift };
    shift += field.bits;
    return place;
  });
  if (shift !== bits) throw new Error(`${name}: fields have ${shift} bits, the layout has ${bits}`);
  if (new Set(fields.map((field) => field.name)).size !== fields.length)
    throw new Error(`${name}: a name stands twice`);
  return { name, bits, fields: placed };
}

/** The largest value that fits in `bits` bits. */
export function maxOf(bits: number): bigint {
  return (1n << BigInt(bits)) - 1n;
}

/** Where a field of at most 32 bits stands in the 32-bit words of its layout. */
export interface WordField {
  /** For messages. */
  readonly name: string;
  readonly word: number;
  readonly shift: number;
  /** The largest value, which is also the field's mask before it is shifted. */
  readonly max: number;
}

/**
 * The field of that name as it stands in words. Numbers go in and out by these: a bigint operation takes as long as the
 * rest of a field.
 *
 * @throws Error when the field straddles two words.
 */
export function wordField<Name extends string>(layout: Layout<Name>, name: Name): WordField {
  const { shift, bits } = fieldOf(layout, name);
  const word = Math.floor(shift / 32);
  if (shift + bits > 32 * (word + 1)) throw new Error(`${layout.name}.${name} straddles two words`);
  return { name: `${layout.name}.${name}`, word, shift: shift % 32, max: 2 ** bits - 1 };
}

/**
 * Puts a value into a field that is 0; the layout begins at word `start`.
 *
 * @throws RangeError when the value does not fit.
 */
export function putField(words: Uint32Array, start: number, field: WordField, value: number): void {
  if (!(value >= 0 && value <= field.max)) throw new RangeError(`${field.name}: ${value}`);
  words[start + field.word]! |= value << field.shift;
}

/** Unpacks every field of a number. Bits above the layout are ignored. */
export function decodeBits<Name extends string>(layout: Layout<Name>, word: bigint): FieldValues<Name> {
  const values = {} as FieldValues<Name>;
  for (const field of layout.fields) values[field.name] = (word >> BigInt(field.shift)) & maxOf(field.bits);
  return values;
}

/** One line per field, for a person: name, bit range, value, meaning. */
export function describeBits<Name extends string>(
  layout: Layout<Name>,
  word: bigint,
): { name: Name; range: string; value: bigint; meaning: string }[] {
  const values = decodeBits(layout, word);
  return layout.fields.map(({ name, bits, shift, meaning }) => ({
    name,
    range: bits === 1 ? `${shift}` : `${shift + bits - 1}:${shift}`,
    value: values[name],
    meaning,
  }));
}

/** The field of that name. */
export function fieldOf<Name extends string>(layout: Layout<Name>, name: Name): PlacedField<Name> {
  const field = layout.fields.find((candidate) => candidate.name === name);
  if (field === undefined) throw new Error(`${layout.name} has no field ${name}`);
  return field;
}

/** Values at the edges of a field: 0, 1, the largest, the largest but one, and every single bit. Ascending. */
export function edgesOf<Name extends string>(layout: Layout<Name>, name: Name): bigint[] {
  const { bits } = fieldOf(layout, name);
  const edges = new Set([0n, 1n, maxOf(bits), maxOf(bits) - 1n]);
  for (let bit = 0; bit < bits; bit++) edges.add(1n << BigInt(bit));
  return [...edges].filter((edge) => edge >= 0n).sort((a, b) => (a < b ? -1 : 1));
}

/** Numbers of the bits of all fields whose name starts with `reserved`, ascending. */
export function reservedBitsOf<Name extends string>(layout: Layout<Name>): number[] {
  return layout.fields
    .filter((field) => field.name.startsWith('reserved'))
    .flatMap((field) => Array.from({ length: field.bits }, (_, bit) => field.shift + bit));
}
