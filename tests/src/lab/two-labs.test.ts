import { describe, expect, it } from 'vitest';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import type { Observation } from '../../../src/program/observation.ts';
import type { Program } from '../../../src/program/program.ts';
import type { Lab } from '../../../src/lab/lab.ts';
import { TwoLabs } from '../../../src/lab/two-labs.ts';

const steps = [makeStep({ do: 'send-ipi' }), makeStep({ do: 'run' })];
const ordered = encodeCase(makeCase([{}], steps));
const concurrent = encodeCase(makeCase([{}], steps, { schedule: 1 }));

/** A lab whose programs say their number, and which is stopped by its program of that number. */
function labThatStopsAt(name: string, stop: number): Lab {
  const run = (programs: readonly Program[]): Promise<Observation[]> =>
    Promise.resolve(
      programs.slice(0, stop + 1).map((_, index) => {
        const stopped = index === stop ? `${name} ${index}` : null;
        return { vpIndexes: [index], steps: [], lapics: [], neighbour: null, memory: [], stopped };
      }),
    );
  return { run, facts: {}, bootSeconds: 0 } as unknown as Lab;
}

const runOn = async (programs: Program[], stops: { ordered: number; concurrent: number }): Promise<Observation[]> => {
  const labs = new TwoLabs(labThatStopsAt('ordered', stops.ordered), () =>
    Promise.resolve(labThatStopsAt('concurrent', stops.concurrent)),
  );
  return labs.run(programs, { exact: false });
};

describe('TwoLabs', () => {
  it('should give the observations of both labs in the order of the programs', async () => {
    const seen = await runOn([ordered, concurrent, concurrent, ordered], { ordered: 9, concurrent: 9 });
    expect(seen.map(({ vpIndexes }) => vpIndexes[0])).toEqual([0, 0, 1, 1]);
  });

  it.each([
    ['of races alone', [concurrent, concurrent, concurrent], ['concurrent 1']],
    ['of both kinds', [concurrent, ordered, concurrent, ordered, concurrent], ['concurrent 1']],
    ['of ordered programs alone', [ordered, ordered, ordered], ['ordered 2']],
  ])('should end a batch %s at the first program that was stopped', async (_, programs, stopped) => {
    const seen = await runOn(programs, { ordered: 2, concurrent: 1 });
    expect(seen.flatMap((one) => one.stopped ?? [])).toEqual(stopped);
    expect(seen.at(-1)!.stopped).toBe(stopped[0]);
  });
});
