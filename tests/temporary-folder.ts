import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A folder that is removed behind the test that runs, or behind all of a file's (`afterAll`). */
export function temporaryFolder(behind: (remove: () => void) => void = onTestFinished): string {
  const folder = mkdtempSync(join(tmpdir(), 'hvipi-test-'));
  behind(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
