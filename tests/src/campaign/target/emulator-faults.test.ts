import { describe, expect, it } from 'vitest';
import { runCampaign } from '../../../../src/campaign/campaign.ts';
import { aroundFaults, faultMet } from '../../../../src/campaign/target/emulator-faults.ts';
import { Session } from '../../../../src/campaign/target/session.ts';
import { corpusBatch } from '../../../../src/campaign/stream/batches.ts';
import type { Target } from '../../../../src/campaign/target/target.ts';
import { type Case, makeCase, makeStep } from '../../../../src/case/case.ts';
import type { EmulatorFacts } from '../../../../src/executor/facts.ts';
import { openModelExecutor } from '../../../../src/model/model-executor.ts';
import type { Program } from '../../../../src/program/program.ts';
import { campaignOptions, never } from '../helpers.ts';

const faulty: EmulatorFacts = { name: 'qemu', version: '7.2.22', faults: ['shadow-kept-over-vmrun'] };
const right: EmulatorFacts = { name: 'qemu', version: '10.0.2', faults: [] };

const waits = makeCase(
  [{ vpIndex: 0 }, { vpIndex: 1 }],
  [makeStep({ do: 'act', vcpu: 1, act: 'wait', at: 'hlt' }), makeStep({ do: 'send-ipi' }), makeStep({ do: 'run' })],
);
const batch = corpusBatch([{ file: 'waits.json', value: waits }]);

/** The model as if it were KVM in an emulator, and what it was given. */
function targetIn(emulator: EmulatorFacts | null, mutant?: string): { target: Target; programs: Program[] } {
  const programs: Program[] = [];
  const model = openModelExecutor(mutant);
  const executor = {
    ...model,
    facts: { ...model.facts, emulator },
    run: (given: readonly Program[], options: { readonly exact: boolean }) => {
      programs.push(...given);
      return model.run(given, options);
    },
  };
  return { target: { name: 'model', replayArguments: [], open: () => Promise.resolve(executor) }, programs };
}

const pointsOf = (programs: readonly Program[]): string[] =>
  programs.flatMap(({ steps }) =>
    steps.flatMap((step) => (step.kind === 'act' && step.act === 'wait' ? [step.at] : [])),
  );

describe('aroundFaults', () => {
  it('should give another step where a fault is met, and the same batch elsewhere', () => {
    const { batch: other, met } = aroundFaults(batch, { emulator: faulty });
    expect(met.map(({ name }) => name)).toEqual(['shadow-kept-over-vmrun']);
    expect(other.cases[0]!.steps[0]).toEqual({ ...waits.steps[0], at: 'open' });
    expect(other.cases[0]!.steps.slice(1)).toEqual(waits.steps.slice(1));
    expect(other.placeOf(0).path).toBe('waits.json');
    for (const emulator of [right, null]) expect(aroundFaults(batch, { emulator })).toEqual({ batch, met: [] });
    expect(aroundFaults(other, { emulator: faulty }).batch).toBe(other);
  });
});

describe('a campaign', () => {
  it('should go around a fault of the emulator and say so once, and draw everything where there is none', async () => {
    const told: string[] = [];
    const options = {
      corpus: [{ file: 'waits.json', value: waits }],
      runs: 1280,
      warn: (line: string) => told.push(line),
    };
    const [onFaulty, onRight] = [targetIn(faulty), targetIn(right)];
    await runCampaign(onFaulty.target, campaignOptions(options), never);
    expect(told).toEqual([
      expect.stringMatching(/^cases go around a fault of the emulator: QEMU 7\.2\.22 keeps .*; 10\.0 is right$/),
    ]);
    await runCampaign(onRight.target, campaignOptions(options), never);
    expect(told.length).toBe(1);
    expect(new Set(pointsOf(onFaulty.programs))).toEqual(new Set(['open']));
    expect(new Set(pointsOf(onRight.programs))).toEqual(new Set(['open', 'hlt', 'sti-shadow', 'mov-ss-shadow']));
  });

  it('should compare as strictly as elsewhere', async () => {
    const results = await Promise.all(
      [faulty, right].map((emulator) =>
        runCampaign(targetIn(emulator, 'bank-slot-off-by-one').target, campaignOptions(), never),
      ),
    );
    for (const { findings } of results) expect(findings.length).toBe(1);
  });
});

describe('Session', () => {
  it('should run no case alone that meets a fault, and name fault and version', async () => {
    const { target, programs } = targetIn(faulty);
    await using session = await Session.open(target, never);
    await expect(session.probe(session.prepare(waits))).rejects.toThrow(
      /^it meets a fault of the emulator: QEMU 7\.2\.22 keeps /,
    );
    expect(programs).toEqual([]);
    const plain: Case = { ...waits, steps: [makeStep({ do: 'run' })] };
    expect(faultMet(plain, session.facts)).toBe(null);
    expect((await session.probe(session.prepare(plain))).class).toBe('match');
  });
});
