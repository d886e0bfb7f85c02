/** Saved cases that take a second each: too long for the corpus, which runs at every start. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judge } from '../../../oracle/compare/verdict.ts';
import { predict } from '../../../oracle/model.ts';
import { parseCase } from '../../../src/case/case.ts';
import type { Lab } from '../../../src/lab/lab.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { isLabMissing, openTestLab } from '../support.ts';
import { testedKernels } from '../tested-kernels.ts';

const folder = import.meta.dirname;

describe.skipIf(isLabMissing).each(testedKernels)('slow cases on %s', (kernel) => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openTestLab(kernel);
  });
  afterAll(async () => lab[Symbol.asyncDispose]());

  it.each(readdirSync(folder).filter((name) => name.endsWith('.json')))('should match the model: %s', async (name) => {
    const program = encodeCase(parseCase(readFileSync(join(folder, name), 'utf8')));
    const [observation] = await lab.run([program], { exact: true });
    expect(judge(program, predict(program, lab.facts), observation!)).toMatchObject({ kind: 'match' });
  });
});
