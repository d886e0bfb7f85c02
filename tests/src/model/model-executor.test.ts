import { describe, expect, it } from 'vitest';
import { formatCase, makeCase, makeStep, parseCase } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { InfrastructureError } from '../../../src/errors.ts';
import { modelFacts, openModelExecutor } from '../../../src/model/model-executor.ts';
import { mutants } from '../../../src/model/mutants.ts';
import type { Verdict } from '../../../oracle/outcome.ts';
import type { Case } from '../../../src/case/case.ts';
import { predict } from '../../../oracle/model.ts';
import { judge } from '../../../oracle/compare/verdict.ts';

describe('openModelExecutor', () => {
  it('should answer a program for each, exact or not', async () => {
    await using executor = openModelExecutor();
    const program = encodeCase(makeCase([{ vpIndex: 7 }], [makeStep({ do: 'send-ipi', targets: [7] })]));
    const [exact] = await executor.run([program], { exact: true });
    const [quick, again] = await executor.run([program, program], { exact: false });
    expect(exact).toMatchObject({ vpIndexes: [7], memory: [], stopped: null });
    expect(exact!.steps[0]).toMatchObject({ result: 0n, exception: null, registers: [] });
    expect(exact!.steps[0]!.lapics).toEqual(exact!.lapics);
    expect(quick!.steps[0]!.lapics).toBeNull();
    expect(again).toEqual(quick);
    expect(executor.facts).toEqual(modelFacts);
  });

  it('should refuse an unknown mutant and name the known ones', () => {
    expect(() => openModelExecutor('drops-bank-2')).toThrow(InfrastructureError);
    expect(() => openModelExecutor('drops-bank-2')).toThrow(/"drops-bank-2".*drops-bank-1/);
  });

  it('should show changed memory at every program of a batch that is not exact', async () => {
    await using executor = openModelExecutor('writes-guest-memory');
    const harmless = makeCase([{ vpIndex: 0 }], [makeStep({ do: 'run' })]);
    const harmful = mutants.find(({ name }) => name === 'writes-guest-memory')!.minimal;
    const programs = [harmless, harmful].map(encodeCase);
    const counts = async (exact: boolean) =>
      (await executor.run(programs, { exact })).map(({ memory }) => memory.length);
    expect(await counts(true)).toEqual([0, 1]);
    expect(await counts(false)).toEqual([1, 1]);
  });
});

describe('mutants', () => {
  it('should have no name twice', () => {
    expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
  });

  describe.each(mutants)('$name', ({ name, minimal }) => {
    it.each([true, false])('should diverge on its minimal case, where the model matches (exact: %s)', async (exact) => {
      expect((await verdictOf(minimal, undefined, exact)).kind).toBe('match');
      expect((await verdictOf(minimal, name, exact)).kind).toBe('divergence');
    });

    it('should have the same signature whether the run is exact or not', async () => {
      expect(await signatureOf(minimal, name, true)).toBe(await signatureOf(minimal, name, false));
    });

    it('should have a minimal case that can be saved', () => {
      expect(parseCase(formatCase(minimal))).toEqual(minimal);
    });

    it('should not diverge on a step less', async () => {
      for (const index of minimal.steps.keys()) {
        const steps = minimal.steps.toSpliced(index, 1);
        if (steps.length > 0) expect((await verdictOf({ ...minimal, steps }, name, true)).kind).toBe('match');
      }
    });
  });
});

async function verdictOf(value: Case, mutant: string | undefined, exact: boolean): Promise<Verdict> {
  await using executor = openModelExecutor(mutant);
  const program = encodeCase(value);
  const [observation] = await executor.run([program], { exact });
  return judge(program, predict(program, modelFacts), observation!);
}

async function signatureOf(value: Case, mutant: string, exact: boolean): Promise<string> {
  const verdict = await verdictOf(value, mutant, exact);
  return verdict.kind === 'divergence' ? verdict.signature : verdict.kind;
}
