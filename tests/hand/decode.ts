/** Reads scripts back: what `script.ts` wrote, operation by operation. */
import { type FieldType, type OperationName, operations } from '../../src/hand/operations.ts';

export interface DecodedOperation {
  readonly name: OperationName;
  readonly fields: Readonly<Record<string, number | bigint | Buffer>>;
  /** Where it begins and ends. */
  readonly start: number;
  readonly end: number;
}

const table = Object.entries(operations) as [OperationName, Readonly<Record<string, FieldType>>][];

/** The operation that begins at a place of a script. */
export function decodeAt(script: Buffer, start: number): DecodedOperation {
  const entry = table[script[start]!];
  if (entry === undefined) throw new Error(`no operation ${script[start]} at ${start}`);
  const [name, layout] = entry;
  const fields: Record<string, number | bigint | Buffer> = {};
  let at = start + 1;
  const take = (length: number): number => {
    at += length;
    if (at > script.length) throw new Error(`${name} at ${start} is cut short`);
    return at - length;
  };
  for (const [field, type] of Object.entries(layout)) {
    if (type === 'u8') fields[field] = script.readUInt8(take(1));
    else if (type === 'u16') fields[field] = script.readUInt16LE(take(2));
    else if (type === 'u64') fields[field] = script.readBigUInt64LE(take(8));
    else if (type !== 'bytes') fields[field] = script.readUInt32LE(take(4));
    else {
      const length = script.readUInt32LE(take(4));
      fields[field] = script.subarray(take(length), at);
    }
  }
  return { name, fields, start, end: at };
}

/** All operations in order, those of branches too. */
export function decodeScript(script: Buffer): DecodedOperation[] {
  const all: DecodedOperation[] = [];
  for (let at = 0; at < script.length; at = all.at(-1)!.end) all.push(decodeAt(script, at));
  return all;
}

/** The names of all operations, those within a branch with two spaces more in front of them. */
export function outlineOf(script: Buffer): string[] {
  const ends: number[] = [];
  return decodeScript(script).map(({ name, fields, start, end }) => {
    while (ends.length > 0 && start >= ends.at(-1)!) ends.pop();
    const line = '  '.repeat(ends.length) + name;
    if ('skip' in fields) ends.push(end + (fields['skip'] as number));
    return line;
  });
}
