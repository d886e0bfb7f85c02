import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { constantBytes } from '../../../src/guest/constant-bytes.ts';

describe('constantBytes', () => {
  it('should do to any buffer what the writing does', () => {
    const write = fc.record({ at: fc.nat(31), bytes: fc.uint8Array({ minLength: 1, maxLength: 8 }) });
    fc.assert(
      fc.property(
        fc.array(write, { maxLength: 6 }),
        fc.uint8Array({ minLength: 40, maxLength: 40 }),
        (writes, start) => {
          const apply = (buffer: Buffer): void => writes.forEach(({ at, bytes }) => buffer.set(bytes, at));
          const [written, overlaid] = [Buffer.from(start), Buffer.from(start)];
          apply(written);
          for (const { offset, bytes } of constantBytes(40, apply)) bytes.copy(overlaid, offset);
          expect(overlaid).toEqual(written);
        },
      ),
      { seed: 42, numRuns: 200 },
    );
  });
});
