/** Writes scripts. What an operation appends to the record is read by `record.ts`. */
import { conditionBytes, type FieldsOf, type FieldType, type OperationName, operations } from './operations.ts';

type NameWithSkip = {
  [Name in OperationName]: 'skip' extends keyof (typeof operations)[Name] ? Name : never;
}[OperationName];

const layouts = new Map(
  Object.entries(operations).map(([name, fields], code) => [name, { code, fields: Object.entries<FieldType>(fields) }]),
);

/** Number of the case in which slots are filled. */
export const keptCase = 0xffff_ffff;

export class Script {
  #buffer = Buffer.allocUnsafe(64 * 1024);
  #length = 0;
  #lengthAt: number | null = null;
  #kept: Script | null = null;

  get length(): number {
    return this.#length;
  }

  /** Begins a case; the one before it ends. */
  case(number: number): void {
    this.#endCase();
    this.add('case', { number, length: 0 });
    this.#lengthAt = this.#length - 4;
  }

  add<Name extends OperationName>(name: Name, fields: FieldsOf<Name>): void {
    const { code, fields: layout } = layouts.get(name)!;
    this.#ensure(64);
    this.#buffer[this.#length++] = code;
    for (const [field, type] of layout) {
      this.#put(type, (fields as Readonly<Record<string, number | bigint | Uint8Array>>)[field]!);
    }
  }

  /** An operation with what is left out where it does not hold. */
  branch<Name extends NameWithSkip, Result>(
    name: Name,
    fields: Omit<FieldsOf<Name>, 'skip'>,
    body: () => Result,
  ): Result {
    this.add(name, { ...fields, skip: 0 } as unknown as FieldsOf<Name>);
    const start = this.#length;
    const result = body();
    this.#buffer.writeUInt32LE(this.#length - start, start - 4);
    return result;
  }

  /** Keeps bytes in a slot before anything else is done: what uses them may stand where it is left out. */
  keep(slot: number, bytes: Uint8Array): void {
    if (this.#kept === null) {
      this.#kept = new Script();
      this.#kept.case(keptCase);
    }
    this.#kept.add('keep', { slot, bytes });
  }

  finish(): Buffer {
    this.#endCase();
    const own = this.#buffer.subarray(0, this.#length);
    return this.#kept === null ? own : Buffer.concat([this.#kept.finish(), own]);
  }

  #endCase(): void {
    if (this.#lengthAt === null) return;
    this.#buffer.writeUInt32LE(this.#length - this.#lengthAt - 4, this.#lengthAt);
    this.#lengthAt = null;
  }

  #put(type: FieldType, value: number | bigint | Uint8Array): void {
    switch (type) {
      case 'u8':
        this.#buffer[this.#length] = value as number;
        this.#length += 1;
        return;
      case 'u16':
        this.#length = this.#buffer.writeUInt16LE(value as number, this.#length);
        return;
      case 'u32':
      case 'skip':
        this.#length = this.#buffer.writeUInt32LE((value as number) >>> 0, this.#length);
        return;
      case 'u64':
        this.#length = this.#buffer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value as number)), this.#length);
        return;
      case 'bytes':
        this.#putBytes(value as Uint8Array);
    }
  }

  #putBytes(bytes: Uint8Array): void {
    this.#ensure(bytes.length + 64);
    this.#length = this.#buffer.writeUInt32LE(bytes.length, this.#length);
    this.#buffer.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  #ensure(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const grown = Buffer.allocUnsafe(2 * (this.#length + bytes));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }
}

/** Bytes that replace those of a structure from an offset on. */
export interface Patch {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export const noPatches = Buffer.alloc(0);

/** Patches as a script has them. */
export function encodePatches(patches: readonly Patch[]): Buffer {
  return Buffer.concat(
    patches.map(({ offset, bytes }) => {
      const head = Buffer.alloc(4);
      head.writeUInt16LE(offset, 0);
      head.writeUInt16LE(bytes.length, 2);
      return Buffer.concat([head, bytes]);
    }),
  );
}

/** A patch of a 32-bit word. */
export function wordPatch(offset: number, value: number): Patch {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0, 0);
  return { offset, bytes };
}

/** What a `wait` waits for. */
export interface Condition {
  readonly thread: number;
  /** Null: the thread is done. Else it is asleep in KVM_RUN with that word of memory not 0. */
  readonly asleepAt: { readonly vm: number; readonly offset: number } | null;
}

/** Conditions as a script has them: the thread, 0 for done or 1 for asleep, the VM and the word (32 bits each). */
export function encodeConditions(conditions: readonly Condition[]): Buffer {
  const bytes = Buffer.alloc(conditionBytes * conditions.length);
  for (const [index, { thread, asleepAt }] of conditions.entries()) {
    const at = conditionBytes * index;
    bytes.writeUInt8(thread, at);
    bytes.writeUInt8(asleepAt === null ? 0 : 1, at + 1);
    bytes.writeUInt32LE(asleepAt?.vm ?? 0, at + 2);
    bytes.writeUInt32LE(asleepAt?.offset ?? 0, at + 6);
  }
  return bytes;
}
