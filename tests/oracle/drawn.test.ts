import { describe, expect, it } from 'vitest';
import { drawBatch } from '../../generators/batch.ts';
import { explainViolations } from '../../oracle/tlfs/deviations.ts';
import { predict } from '../../oracle/model.ts';
import { judgeByTlfs } from '../../oracle/tlfs/tlfs.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { facts } from './programs.ts';

/** Cases as `fuzz` draws them: 20 batches of 64. */
const programs = Array.from({ length: 20 }, (_, batch) =>
  drawBatch('deviations', batch, 64).cases.map(encodeCase),
).flat();

describe('explainViolations', () => {
  it.each([1024, 4096])(
    'should explain all that the model of a KVM of %i vCPUs does with drawn cases',
    (kvmMaxVcpus) => {
      const target = { ...facts, kvmMaxVcpus };
      const found = programs
        .flatMap((program) => judgeByTlfs(program, predict(program, target), target))
        .map(explainViolations);
      expect(found.flatMap(({ unlisted }) => unlisted)).toEqual([]);
      expect(new Set(found.flatMap(({ known }) => known.map(({ name }) => name))).size).toBeGreaterThanOrEqual(12);
    },
  );
});
