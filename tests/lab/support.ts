/** Labs for tests. A lab that cannot be had skips the test with the reason; in CI that is a failure. */
import { InfrastructureError, SkippedError } from '../../src/executor/executor.ts';
import { type Lab, openLab } from '../../src/lab/lab.ts';

export const kernels = ['debian:6.12', 'debian:6.1'] as const;

/** Opens a lab and says on stderr what is installed for it. */
export async function openTestLab(kernel: string): Promise<Lab | SkippedError | InfrastructureError> {
  try {
    return await openLab({ kernel, install: 'auto', say: (line) => process.stderr.write(`${line}\n`) });
  } catch (error) {
    const canSkip = error instanceof SkippedError || error instanceof InfrastructureError;
    if (!canSkip || process.env['CI'] !== undefined) throw error;
    process.stderr.write(`skipped: ${error.message}\n`);
    return error;
  }
}
