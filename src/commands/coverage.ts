/** `--coverage`: KVM's modules with counters instead of the kernel's own, and what they have counted. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { placeToBuild } from '../build/mirror.ts';
import { Workshop } from '../build/workshop.ts';
import type { Session } from '../campaign/target/session.ts';
import { InfrastructureError, UsageError } from '../errors.ts';
import { debianSeries } from '../lab/kernel/debian-kernel.ts';
import { buildCounted } from '../counts/counted-build.ts';
import type { CountedModules } from '../counts/counted-folder.ts';
import { countedFiles, coverageOf, formatCoverage } from '../counts/coverage-report.ts';
import { formatLcov, type Trace, traceOf } from '../counts/lcov.ts';
import { Meter } from '../counts/meter.ts';
import { ensureFolder } from '../system/cache.ts';
import { withFileErrors } from '../system/file-errors.ts';
import { findProgram } from '../system/packages/tools.ts';
import type { RawTargetOptions } from './common/options.ts';

/** The last reading is as old as this at most when a campaign ends. */
const readSeconds = 3;

/**
 * Builds them.
 *
 * @throws UsageError where the kernel's source is not at hand, BuildError, InfrastructureError.
 */
export async function buildForCoverage(
  options: RawTargetOptions,
  say: (line: string) => void,
  signal: AbortSignal,
): Promise<CountedModules> {
  const { target, kvmModules } = options;
  if (target !== 'lab') throw new UsageError('--coverage goes with --target lab only');
  if (kvmModules !== undefined) throw new UsageError('--coverage builds its own modules; leave --kvm-modules out');
  requireOneLab(options);
  if (findProgram('gcov') === null) throw new InfrastructureError('--coverage needs gcov (Debian package gcc)');
  if (debianSeries(options.kernel) === null) {
    throw new UsageError(`--kernel ${options.kernel}: --coverage takes the source of a series, like debian:7.3`);
  }
  const { source } = await placeToBuild(null, { install: options.install, say, signal }, options.kernel);
  say('building KVM with counters');
  const workshop = new Workshop(source, say, signal);
  const modules = await workshop.whilePristine(() => buildCounted(source, countedFiles, signal));
  if (modules === null) throw new InfrastructureError(`${source.tree} has none of ${countedFiles.join(', ')}`);
  return modules;
}

/** @throws UsageError */
export function requireOneLab({ jobs = 1 }: { readonly jobs?: number }): void {
  if (jobs > 1) throw new UsageError('--coverage counts one lab; leave --jobs out');
}

/** Counts one run. */
export class Coverage {
  readonly #modules: CountedModules;
  #meter: Meter | null = null;

  constructor(modules: CountedModules) {
    this.#modules = modules;
  }

  begin(session: Session): void {
    this.#meter = new Meter(this.#modules, session, readSeconds);
  }

  async readSometimes(): Promise<void> {
    await this.#meter?.readSometimes();
  }

  /** What was read last; null where nothing was. */
  async trace(): Promise<Trace | null> {
    const counts = (await this.#meter?.lines()) ?? null;
    return counts === null ? null : traceOf(counts, this.#modules.tree);
  }

  /** The table, and in `<out>/coverage.info` all lines for other tools. */
  async report(out: string): Promise<string> {
    const trace = await this.trace();
    if (trace === null) return 'coverage   nothing was counted\n';
    const file = join(out, 'coverage.info');
    await ensureFolder(out);
    await withFileErrors(file, () => writeFile(file, formatLcov(trace)));
    const table = formatCoverage(coverageOf(trace, countedFiles));
    return `coverage   of the lab with one CPU, all lines in ${file} (lcov)\n${table}`;
  }
}
