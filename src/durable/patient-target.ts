/**
 * A target for campaigns that run for days: tells of each executor that dies, once, and of what; and a target that does
 * not open again is tried for a while, because somebody may make room on the disk.
 */
import type { Target } from '../campaign/target/target.ts';
import type { Executor } from '../executor/executor.ts';
import { InfrastructureError, KernelFailure } from '../errors.ts';

export interface TargetEvents {
  readonly onDeath: (error: KernelFailure | InfrastructureError) => void;
  readonly onOpenFailed: (message: string) => void;
}

export interface Patience {
  /** How long a target that has opened before is tried again, and the longest pause in between. */
  readonly totalMs: number;
  readonly pauseMs: number;
}

export const defaultPatience: Patience = { totalMs: 600_000, pauseMs: 30_000 };

export function patientTarget(target: Target, events: TargetEvents, patience: Patience = defaultPatience): Target {
  let hasOpened = false;
  const open = async (signal: AbortSignal): Promise<Executor> => {
    const executor = await (hasOpened ? openAgain(target, signal, events, patience) : target.open(signal));
    hasOpened = true;
    return watched(executor, events);
  };
  return { name: target.name, replayArguments: target.replayArguments, open };
}

async function openAgain(
  target: Target,
  signal: AbortSignal,
  events: TargetEvents,
  { totalMs, pauseMs }: Patience,
): Promise<Executor> {
  const start = performance.now();
  let told = '';
  for (let pause = Math.min(1000, pauseMs); ; pause = Math.min(pause * 2, pauseMs)) {
    try {
      return await target.open(signal);
    } catch (error) {
      const isPatient = error instanceof InfrastructureError && !signal.aborted;
      if (!isPatient || performance.now() - start + pause > totalMs) throw error;
      if (error.message !== told) events.onOpenFailed(error.message);
      told = error.message;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

function watched(executor: Executor, { onDeath }: TargetEvents): Executor {
  let isOver = false;
  const run: Executor['run'] = async (programs, options) => {
    try {
      return await executor.run(programs, options);
    } catch (error) {
      const isDeath = error instanceof KernelFailure || error instanceof InfrastructureError;
      // Whatever else was on its way fails of the same cause, and what fails after the end fails because of it.
      if (isDeath && !isOver) onDeath(error);
      if (isDeath) isOver = true;
      throw error;
    }
  };
  const dispose = async (): Promise<void> => {
    isOver = true;
    await executor[Symbol.asyncDispose]();
  };
  const { facts, bootSeconds, lanes = 1 } = executor;
  return {
    facts,
    lanes,
    ...(bootSeconds === undefined ? {} : { bootSeconds }),
    ...(executor.readPiece === undefined ? {} : { readPiece: executor.readPiece.bind(executor) }),
    run,
    expectRaces: () => executor.expectRaces?.(),
    [Symbol.asyncDispose]: dispose,
  };
}
