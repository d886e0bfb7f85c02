import { InfrastructureError } from '../errors.ts';

/** The hand did not do one request, and goes on. */
export class HandRefusal extends InfrastructureError {
  /** In the hand's words. */
  readonly reason: string;

  constructor(reason: string) {
    super(`the hand: ${reason}`);
    this.reason = reason;
  }
}

/** What executes scripts: a hand in a lab, in this process, or on another machine. */
export interface Hand {
  /**
   * Executes a script and returns its record. Several may be under way; they are executed in order.
   *
   * @param patienceMs how much longer than others it may take.
   * @throws InfrastructureError for a malformed script or a hand that is gone; KernelFailure when the kernel under test
   *   failed; SkippedError when there is no /dev/kvm that may be opened.
   */
  run(script: Buffer, patienceMs: number): Promise<Buffer>;
  /** The text of a file beside the hand, or null when it cannot be read. */
  readFile(path: string): Promise<string | null>;
}
