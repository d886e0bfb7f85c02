/** `fuzz --coverage`: KVM's modules with counters instead of the kernel's own, and what they have counted at the end. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { placeToBuild } from '../build/mirror.ts';
import { Workshop } from '../build/workshop.ts';
import type { Session } from '../campaign/session.ts';
import { InfrastructureError, UsageError } from '../errors.ts';
import { debianSeries } from '../lab/kernel/debian-kernel.ts';
import { buildCounted } from '../review/counts/counted-build.ts';
import type { CountedModules } from '../review/counts/counted-folder.ts';
import { formatCoverage, toLcov } from '../review/counts/coverage-report.ts';
import { Meter } from '../review/counts/meter.ts';
import { ensureFolder } from '../system/cache.ts';
import { withFileErrors } from '../system/file-errors.ts';
import { findProgram } from '../system/tools.ts';
import type { RawTargetOptions } from './common/options.ts';

/** Where the calls go through, and who delivers. */
const countedFiles = ['arch/x86/kvm/hyperv.c', 'arch/x86/kvm/lapic.c'] as const;
/** The last reading is as old as this at most when a campaign ends. */
const readSeconds = 3;

/** Counts one campaign. */
export class Coverage {
  /** Folder of the modules that count. */
  readonly folder: string;
  readonly #modules: CountedModules;
  #meter: Meter | null = null;

  private constructor(modules: CountedModules) {
    this.#modules = modules;
    this.folder = modules.folder;
  }

  /** @throws UsageError where the kernel's source is not at hand, BuildError, InfrastructureError. */
  static async build(options: RawTargetOptions, say: (line: string) => void, signal: AbortSignal): Promise<Coverage> {
    const { target, kvmModules, jobs = 1 } = options;
    if (target !== 'lab') throw new UsageError('--coverage goes with --target lab only');
    if (kvmModules !== undefined) throw new UsageError('--coverage builds its own modules; leave --kvm-modules out');
    if (jobs > 1) throw new UsageError('--coverage counts one lab; leave --jobs out');
    if (findProgram('gcov') === null) throw new InfrastructureError('--coverage needs gcov (Debian package gcc)');
    if (debianSeries(options.kernel) === null) {
      throw new UsageError(`--kernel ${options.kernel}: --coverage takes the source of a series, like debian:7.3`);
    }
    const install = options.install ? 'auto' : 'refuse';
    const { source } = await placeToBuild(null, { install, say, signal }, options.kernel);
    say('building KVM with counters');
    const workshop = new Workshop(source, say, signal);
    const modules = await workshop.whilePristine(() => buildCounted(source, countedFiles, signal));
    if (modules === null) throw new InfrastructureError(`${source.tree} has none of ${countedFiles.join(', ')}`);
    return new Coverage(modules);
  }

  begin(session: Session): void {
    this.#meter = new Meter(this.#modules, session, readSeconds);
  }

  async readSometimes(): Promise<void> {
    await this.#meter?.readSometimes();
  }

  /** The table, and in `<out>/coverage.info` all lines for other tools. */
  async report(out: string): Promise<string> {
    const counts = (await this.#meter?.lines()) ?? null;
    if (counts === null) return 'coverage   nothing was counted\n';
    const file = join(out, 'coverage.info');
    await ensureFolder(out);
    await withFileErrors(file, () => writeFile(file, toLcov(counts, this.#modules.tree)));
    return `coverage   of the lab with one CPU, all lines in ${file} (lcov)\n${formatCoverage(counts, countedFiles)}`;
  }
}
