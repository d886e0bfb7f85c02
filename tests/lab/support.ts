/** Labs for tests; `setup.ts` has installed what they need. */
import { inject } from 'vitest';
import { type Lab, type LabOptions, openLab } from '../../src/lab/lab.ts';

/** Whether the tests of the lab have to be skipped; `setup.ts` has said why. */
export const isLabMissing = inject('labMissing') !== null;

/** Opens a lab; installing is over, so what is missing now is an error. */
export function openTestLab(kernel: string, options: Partial<LabOptions> = {}): Promise<Lab> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  return openLab({ kernel, install: false, say, ...options });
}
