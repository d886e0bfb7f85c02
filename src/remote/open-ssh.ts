/** The KVM of another machine as an executor. */
import type { TargetFacts } from '../executor/facts.ts';
import type { Executor, RunOptions } from '../executor/executor.ts';
import { KvmExecutor } from '../executor/kvm-executor.ts';
import { buildHand } from '../hand/build.ts';
import { LabHand } from '../lab/lab-hand.ts';
import type { Observation } from '../program/observation.ts';
import type { Program } from '../program/program.ts';
import { SshConnection } from './ssh-connection.ts';

/** Milliseconds without an answer after which the kernel counts as hung. */
const silenceMs = 20_000;

class SshExecutor implements Executor {
  readonly facts: TargetFacts;
  readonly #connection: SshConnection;
  readonly #executor: KvmExecutor;

  constructor(connection: SshConnection, executor: KvmExecutor) {
    this.#connection = connection;
    this.#executor = executor;
    this.facts = executor.facts;
  }

  run(programs: readonly Program[], options: RunOptions): Promise<Observation[]> {
    return this.#executor.run(programs, options);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection[Symbol.asyncDispose]();
  }
}

/**
 * Opens the KVM of another machine.
 *
 * @throws InfrastructureError when the machine cannot be reached, SkippedError when its KVM lacks what is to be tested.
 */
export async function openSsh(destination: string): Promise<Executor> {
  const connection = await SshConnection.open(destination, await buildHand('program'), silenceMs);
  try {
    return new SshExecutor(connection, await KvmExecutor.open(new LabHand(connection.channel), `ssh:${destination}`));
  } catch (error) {
    await connection[Symbol.asyncDispose]();
    throw error;
  }
}
