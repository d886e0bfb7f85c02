import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CaseShape, caseShape, shapesOf } from '../../../generators/shape/shape.ts';
import { settled } from '../../../generators/machine/settled.ts';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { itKeepsTheLaws } from '../laws.ts';

interface Letter {
  readonly isLong: boolean;
  /** Says something in long letters. */
  readonly pages: number;
}

const letter = fc.record<Letter>({ isLong: fc.boolean(), pages: fc.nat(1000) }, { noNullPrototype: true });
const onePage = (value: Letter): Letter => (value.isLong || value.pages === 0 ? value : { ...value, pages: 0 });
const arbitrary = settled(letter, onePage);

describe('settled', () => {
  itKeepsTheLaws<Letter>({
    arbitrary,
    expectValid: (value) => expect(onePage(value)).toBe(value),
    keyOf: (value) => JSON.stringify(value),
  });

  it('should drop what another field has made meaningless, and then shrink from the start', () => {
    const [first] = arbitrary.shrink({ isLong: true, pages: 777 }, undefined);
    expect(first!.value).toEqual({ isLong: false, pages: 0 });
    expect([...arbitrary.shrink(first!.value, first!.context)]).toEqual([]);
  });

  it('should leave alone what still says something', () => {
    const shrunk = [...arbitrary.shrink({ isLong: true, pages: 2 }, undefined)].map(({ value }) => value);
    expect(shrunk).toContainEqual({ isLong: true, pages: 1 });
  });
});

describe('caseShape', () => {
  const everyVp = Array.from({ length: 4096 }, (_, vp) => vp);

  it('should forget the targets that a call of the older form cannot name', () => {
    const call = makeStep({ do: 'send-ipi-ex', format: 7n, targets: everyVp, emptyBanks: [3], maskFlips: [1, 2] });
    const [shape] = shapesOf(makeCase([{ vpIndex: 0 }], [call]));
    const older = firstShrunk(shape!, (step) => 'isEx' in step && !step.isEx && step.targets.length > 0);
    expect(older).toMatchObject({ format: 0n, emptyBanks: [], maskFlips: [] });
    expect((older as { readonly targets: readonly unknown[] }).targets).toHaveLength(64);
  });

  it('should forget the fields of a change that became another one', () => {
    const write = makeStep({ do: 'write-msr', vcpu: 5, msr: 'vp-index', value: 77n });
    const [shape] = shapesOf(makeCase([{ vpIndex: 0 }], [write]));
    const run = firstShrunk(shape!, (step) => 'change' in step && step.change === 'run');
    expect(run).toMatchObject({ vcpu: 0, msr: 'guest-os-id', value: 0n });
  });
});

/** The first such step that the shape shrinks to; there are too many to look at all. */
function firstShrunk(shape: CaseShape, is: (step: CaseShape['steps'][number]) => boolean): unknown {
  for (const { value } of caseShape.shrink(shape, undefined)) {
    const step = value.steps.find(is);
    if (step !== undefined) return step;
  }
  return undefined;
}
