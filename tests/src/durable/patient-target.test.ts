import { expect, it } from 'vitest';
import type { Target } from '../../../src/campaign/target/target.ts';
import { patientTarget } from '../../../src/durable/patient-target.ts';
import type { Executor } from '../../../src/executor/executor.ts';
import { modelFacts } from '../../../src/model/model-executor.ts';

it('should tell its executor that races will come, and read from it', async () => {
  let expected = 0;
  const executor: Executor = {
    facts: modelFacts,
    run: () => Promise.resolve([]),
    expectRaces: () => void expected++,
    readPiece: (path, offset, bytes) => Promise.resolve(Buffer.from(`${path} ${offset} ${bytes}`)),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
  const target: Target = { name: 'lab', replayArguments: [], open: () => Promise.resolve(executor) };
  const patient = patientTarget(target, { onDeath: () => undefined, onOpenFailed: () => undefined });
  const opened = await patient.open(new AbortController().signal);
  opened.expectRaces?.();
  expect(expected).toBe(1);
  expect((await opened.readPiece!('/proc/kcore', 4n, 8)).toString()).toBe('/proc/kcore 4 8');
});
