/** Runs once before the lab tests: installs what they need, saying so, or finds out why they have to be skipped. */
import type { TestProject } from 'vitest/node';
import { InfrastructureError } from '../../src/errors.ts';
import { ensureTools } from '../../src/lab/install.ts';
import { resolveKernel } from '../../src/lab/kernel/kernels.ts';
import { testedKernels } from './tested-kernels.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Why there is no lab here, or null. In CI there has to be one. */
    readonly labMissing: string | null;
  }
}

export default async function setup(project: TestProject): Promise<void> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  try {
    await ensureTools({ install: true, say });
    for (const spec of testedKernels) await resolveKernel(spec, { install: true, say });
    project.provide('labMissing', null);
  } catch (error) {
    if (!(error instanceof InfrastructureError) || process.env['CI'] !== undefined) throw error;
    say(`lab tests are skipped: ${error.message}`);
    project.provide('labMissing', error.message);
  }
}
