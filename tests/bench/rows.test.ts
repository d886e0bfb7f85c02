import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { parseRows } from '../../bench/rows.ts';

const schema = z.strictObject({ name: z.string(), seconds: z.number() });

describe('parseRows', () => {
  const row = { name: 'a', seconds: 1.5 };

  it('should read what was written', () => {
    expect(parseRows(schema, `${JSON.stringify(row)}\n${JSON.stringify(row)}\n`, 'x')).toEqual([row, row]);
    expect(parseRows(schema, '', 'x')).toEqual([]);
  });

  it('should leave out a last line that was not written whole', () => {
    expect(parseRows(schema, `${JSON.stringify(row)}\n{"name":"b`, 'x')).toEqual([row]);
  });

  it('should name the line and the field that are wrong', () => {
    expect(() => parseRows(schema, `${JSON.stringify({ ...row, seconds: 'x' })}\n`, 'x')).toThrow(
      'x:1: seconds is wrong',
    );
  });
});
