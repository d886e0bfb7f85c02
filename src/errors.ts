/** How a run can fail. Each class has one exit code (`src/commands/main.ts`, `src/campaign`). */

/** Something on the command line cannot be used; the message names what would be accepted. Exit code 2. */
export class UsageError extends Error {
  override name = 'UsageError';
}

/** The kernel under test failed. */
export class KernelFailure extends Error {
  override name = 'KernelFailure';
  readonly kind: 'oops' | 'warning' | 'hang';
  /** Names the failure across boots: the first line and the top frames, without addresses. */
  readonly fingerprint: string;
  /** The part of the console that shows it. */
  readonly console: string;

  constructor(kind: KernelFailure['kind'], fingerprint: string, console: string) {
    super(`kernel ${kind}: ${fingerprint}`);
    this.kind = kind;
    this.fingerprint = fingerprint;
    this.console = console;
  }
}

/** Something that we need failed: QEMU, boot, the hand, the disk. Exit code 3. */
export class InfrastructureError extends Error {
  override name = 'InfrastructureError';
}

/** The environment lacks something that is named; nothing was tested. Exit code 4. */
export class SkippedError extends Error {
  override name = 'SkippedError';
}
