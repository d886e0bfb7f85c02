/** A folder for as long as a block lasts: `await using folder = await temporaryFolder('mail')`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withFileErrors } from './file-errors.ts';

/** @throws InfrastructureError when the disk is full, or the place is not writable. */
export async function temporaryFolder(name: string): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await withFileErrors(tmpdir(), () => mkdtemp(join(tmpdir(), `hvipi-${name}-`)));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
