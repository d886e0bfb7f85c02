/** Machines of many vCPUs. To make one of 1,024 takes the lab some ten seconds. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { caseArbitrary } from '../../generators/case.ts';
import { usualSwarm } from '../generators/usual-swarm.ts';
import { predict } from '../../oracle/model.ts';
import { judge } from '../../oracle/compare/verdict.ts';
import { type Case, makeCase, makeStep, makeVcpu } from '../../src/case/case.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { repeatVcpu } from '../../src/case/vcpus/like-vcpus.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { isLabMissing, openTestLab } from './support.ts';
import { testedKernels } from './tested-kernels.ts';

const all = Array.from({ length: 1024 }, (_, vp) => vp);
const run = makeStep({ do: 'run' });

function largeCase(): Case {
  const last = { vcpu: 1023 } as const;
  return makeCase(repeatVcpu(makeVcpu({}), 1024), [
    makeStep({ do: 'send-ipi-ex', sender: 1023, targets: [0, 63, 64, 700, 1023, 1024] }),
    makeStep({ do: 'send-ipi', sender: 512, fast: true, vector: 0x40, targets: [0, 63] }),
    makeStep({ do: 'set-apic', ...last, apic: 'hardware-disabled' }),
    makeStep({ do: 'send-ipi-ex', vector: 0x41, targets: [1022, 1023] }),
    makeStep({ do: 'set-apic', ...last, apic: 'enabled' }),
    makeStep({ do: 'init', ...last }),
    makeStep({ do: 'send-ipi-ex', sender: 300, vector: 0x50, targets: [1023] }),
    makeStep({ do: 'send-ipi-ex', sender: 300, vector: 0x51, targets: all }),
    makeStep({ do: 'send-ipi-ex', sender: 0, vector: 0x52, format: 1n, mode: 'compat', cpl: 0 }),
    run,
  ]);
}

describe.skipIf(isLabMissing).each(testedKernels)('1,024 vCPUs on KVM of %s', (kernel) => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await openTestLab(kernel);
  });

  afterAll(async () => lab[Symbol.asyncDispose]());

  it('should do what the model says of a VM that has had more than 10,000 calls', async () => {
    const calls = Array.from({ length: 63 }, (_, index) =>
      makeStep({ do: 'send-ipi', fast: true, vector: 0x20 + index, targets: [index % 3] }),
    );
    const program = encodeCase(makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], [...calls, run]));
    const expected = predict(program, lab.facts);
    for (let batch = 0; batch < 4; batch++) {
      const seen = await lab.run(
        Array.from({ length: 41 }, () => program),
        { exact: false },
      );
      for (const observation of seen) expect(judge(program, expected, observation)).toEqual({ kind: 'match' });
    }
  });

  it('should do what the model says, on a fresh VM and on a used one', async () => {
    const program = encodeCase(largeCase());
    const expected = predict(program, lab.facts);

    const [fresh] = await lab.run([program], { exact: false });
    const [used] = await lab.run([program], { exact: false });

    expect(judge(program, expected, fresh!)).toEqual({ kind: 'match' });
    expect(used).toEqual(fresh);
    expect(fresh!.steps.at(-1)!.arrivals.filter((vectors) => vectors.length > 0)).toHaveLength(1023);
  });

  it('should find nothing in drawn cases of 70 vCPUs, and see the same on a used VM as on a fresh one', async () => {
    const swarm = { ...usualSwarm, isLarge: true, haltedPerMille: 0, changePercent: 20, stepCountMax: 12 };
    const programs = fc.sample(caseArbitrary(swarm), { seed: 42, numRuns: 64 }).map(encodeCase);
    expect(new Set(programs.map(({ vcpus }) => vcpus.length))).toEqual(new Set([70]));

    const used = await lab.run(programs, { exact: false });
    const fresh = await lab.run(programs.slice(0, 6), { exact: true });

    const verdicts = programs.map((program, index) => judge(program, predict(program, lab.facts), used[index]!));
    expect(verdicts.filter(({ kind }) => kind !== 'match')).toEqual([]);
    expect(fresh.map(({ lapics, vpIndexes }) => ({ lapics, vpIndexes }))).toEqual(
      used.slice(0, 6).map(({ lapics, vpIndexes }) => ({ lapics, vpIndexes })),
    );
  });

  it('should keep small machines after a large one', async () => {
    const small = encodeCase(
      makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], [makeStep({ do: 'send-ipi', targets: [1] }), run]),
    );

    const [observation] = await lab.run([small], { exact: false });

    expect(judge(small, predict(small, lab.facts), observation!)).toEqual({ kind: 'match' });
  });
});
