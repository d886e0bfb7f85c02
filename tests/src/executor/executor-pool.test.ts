import { describe, expect, it } from 'vitest';
import type { Program } from '../../../src/program/program.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import type { Executor } from '../../../src/executor/executor.ts';
import { InfrastructureError } from '../../../src/errors.ts';
import { ExecutorPool } from '../../../src/executor/executor-pool.ts';
import { openModelExecutor } from '../../../src/model/model-executor.ts';

const program = encodeCase(makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi', targets: [0] })]));
const pooled = { exact: false } as const;

/** Executors of the model that note who runs and who is closed, and answer when they are told to. */
class Makers {
  readonly runs: number[] = [];
  readonly closed: number[] = [];
  readonly finish: (() => void)[] = [];
  opened = 0;

  open = async (): Promise<Executor> => {
    const number = this.opened++;
    const model = openModelExecutor();
    return {
      facts: model.facts,
      bootSeconds: number,
      run: async (programs: readonly Program[], options) => {
        this.runs.push(number);
        await new Promise<void>((resolve) => this.finish.push(resolve));
        return model.run(programs, options);
      },
      [Symbol.asyncDispose]: async () => void this.closed.push(number),
    };
  };
}

describe('ExecutorPool', () => {
  it('should give each batch to the executor with the least to do', async () => {
    const makers = new Makers();
    const pool = await ExecutorPool.open(2, makers.open);
    const answers = [1, 2, 3].map(() => pool.run([program], pooled));
    expect(makers.runs).toEqual([0, 1, 0]);
    makers.finish[1]!();
    await answers[1];
    answers.push(pool.run([program], pooled));
    expect(makers.runs).toEqual([0, 1, 0, 1]);
    for (const finish of makers.finish) finish();
    expect(await Promise.all(answers)).toHaveLength(4);
    expect(pool).toMatchObject({ lanes: 2, bootSeconds: 1 });
  });

  it('should close all of them, also when one does not open', async () => {
    const makers = new Makers();
    await (await ExecutorPool.open(3, makers.open))[Symbol.asyncDispose]();
    expect(makers.closed).toEqual([0, 1, 2]);
    const failing = new Makers();
    const opening = ExecutorPool.open(3, async () => {
      if (failing.opened === 2) throw new InfrastructureError('no more');
      return failing.open();
    });
    await expect(opening).rejects.toThrow('no more');
    expect(failing.closed).toEqual([0, 1]);
  });
});
