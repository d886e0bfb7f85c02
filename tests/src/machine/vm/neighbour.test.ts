/** When a second VM comes and goes in a script. */
import { describe, expect, it } from 'vitest';
import { makeCase, makeStep, type Step } from '../../../../src/case/case.ts';
import { type Neighbour, plainNeighbour } from '../../../../src/case/neighbour.ts';
import { KvmExecutor } from '../../../../src/executor/kvm-executor.ts';
import { encodeCase } from '../../../../src/program/encode.ts';
import { outlineOf } from '../../../hand/decode.ts';
import { QuietHand } from '../../../hand/quiet-hand.ts';

const told = new Set(['case', 'createVm', 'dropVm', 'pause', 'run', 'start', 'wait', 'stop']);
const call: Step = makeStep({ do: 'send-ipi' });

async function outline(neighbour: Partial<Neighbour>, machine: object = {}, steps = [call]): Promise<string[]> {
  const hand = new QuietHand();
  const executor = await KvmExecutor.open(hand, 'lab');
  const value = makeCase([{ vpIndex: 0 }], steps, { neighbour: { ...plainNeighbour, ...neighbour }, ...machine });
  await executor.run([encodeCase(value), encodeCase(value)], { exact: false });
  return outlineOf(hand.scripts.at(-1)!).filter((line) => told.has(line.trim()));
}

describe('a second VM in a script', () => {
  it('should come with the first program that it is beside, and go with the batch', async () => {
    const lines = await outline({ busy: false });
    expect(lines.filter((line) => line === 'createVm')).toHaveLength(2);
    expect(lines.slice(0, 5)).toEqual(['case', 'case', 'createVm', 'createVm', 'run']);
    expect(lines.at(-1)).toBe('dropVm');
  });

  it('should send before the steps and between them', async () => {
    const steps = [call, makeStep({ do: 'run' })];
    const runs = async (busy: boolean) => (await outline({ busy }, {}, steps)).filter((line) => line === 'run').length;
    expect((await runs(true)) - (await runs(false))).toBe(4);
  });

  it('should be gone before the first step, with a pause where it is gone for long', async () => {
    const first = async (life: Neighbour['life']) => {
      const lines = await outline({ life });
      return lines.slice(lines.indexOf('createVm'), lines.indexOf('run') + 1);
    };
    expect(await first('gone')).toEqual(['createVm', 'createVm', 'dropVm', 'run']);
    expect(await first('long-gone')).toEqual(['createVm', 'createVm', 'dropVm', 'pause', 'run']);
  });

  it('should run on a thread of its own beside a race', async () => {
    const steps = [call, makeStep({ do: 'run' })];
    const starts = async (busy: boolean) =>
      (await outline({ busy }, { schedule: 1 }, steps)).filter((line) => line === 'start').length;
    expect((await starts(true)) - (await starts(false))).toBe(2);
  });
});
