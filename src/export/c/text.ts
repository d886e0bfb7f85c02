/** Small pieces of C. */

const columnsMax = 78;

/** A literal: 64-bit ones say so. */
export function hex(value: number | bigint): string {
  const digits = `0x${value.toString(16)}`;
  return BigInt(value) > 0x7fff_ffffn ? `${digits}ull` : digits;
}

/** A block comment of lines, each wrapped; never one that ends early. */
export function cComment(lines: readonly string[]): string {
  return `/*\n${commentLines(lines)} */\n`;
}

/** The inside of a block comment. */
export function commentLines(lines: readonly string[]): string {
  const wrapped = lines.flatMap((line) => wrap(line.replaceAll('*/', '* /'), columnsMax - 3));
  return wrapped.map((line) => `${` * ${line}`.trimEnd()}\n`).join('');
}

/** Lines of at most so many columns, where words allow it. */
export function wrap(text: string, columns: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/)) {
    if (line !== '' && line.length + word.length >= columns) {
      lines.push(line);
      line = '';
    }
    line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
