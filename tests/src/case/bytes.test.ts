import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Reader, Writer } from '../../../src/case/bytes.ts';

type Item =
  | { kind: 'u8' | 'u16' | 'u32' | 'f64'; value: number }
  | { kind: 'u64'; value: bigint }
  | { kind: 'text'; value: string };

const item: fc.Arbitrary<Item> = fc.oneof(
  fc.record({ kind: fc.constant('u8' as const), value: fc.nat(0xff) }),
  fc.record({ kind: fc.constant('u16' as const), value: fc.nat(0xffff) }),
  fc.record({ kind: fc.constant('u32' as const), value: fc.integer({ min: 0, max: 0xffff_ffff }) }),
  fc.record({ kind: fc.constant('f64' as const), value: fc.integer() }),
  fc.record({ kind: fc.constant('u64' as const), value: fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }) }),
  fc.record({ kind: fc.constant('text' as const), value: fc.string() }),
);

function write(out: Writer, { kind, value }: Item): void {
  if (kind === 'u64') out.u64(value);
  else if (kind === 'text') out.text(value);
  else out[kind](value);
}

describe('Writer', () => {
  it('should give Reader back what was written, wherever its buffer has to grow', () => {
    fc.assert(
      fc.property(fc.array(item), fc.integer({ min: 0, max: 20 }), (items, capacity) => {
        const out = new Writer(capacity);
        for (const each of items) write(out, each);

        const input = new Reader(out.finish());

        expect(items.map(({ kind }) => input[kind]())).toEqual(items.map(({ value }) => value));
      }),
      { seed: 42, numRuns: 500 },
    );
  });
});

describe('Reader', () => {
  it.each(['u8', 'u16', 'u32', 'u64', 'f64', 'text'] as const)('should refuse to read %s behind the end', (kind) => {
    expect(() => new Reader(Buffer.alloc(0))[kind]()).toThrow(RangeError);
  });
});
