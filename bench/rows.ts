/** Rows of measurements: JSON values, one a line, in `results/*.ndjson` of a bench. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { z } from 'zod';

/** Rows of all files in a folder. @throws Error that names the line. */
export function readRows<Row>(schema: z.ZodType<Row>, folder: string): Row[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).filter((name) => name.endsWith('.ndjson'));
  return files.sort().flatMap((name) => parseRows(schema, readFileSync(join(folder, name), 'utf8'), name));
}

/** Rows of a text; a last line that was cut off by a kill is left out. */
export function parseRows<Row>(schema: z.ZodType<Row>, text: string, name: string): Row[] {
  const lines = text.split('\n');
  // What stands behind the last line end is a line that was not written whole.
  lines.pop();
  return lines.map((line, index) => {
    const row = schema.safeParse(JSON.parse(line));
    if (!row.success) throw new Error(`${name}:${index + 1}: ${row.error.issues[0]!.path.join('.')} is wrong`);
    return row.data;
  });
}
