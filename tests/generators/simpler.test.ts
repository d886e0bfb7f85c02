import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { caseArbitrary } from '../../generators/case.ts';
import { isSimpler } from '../../generators/simpler.ts';
import { usualSwarm } from '../../generators/swarm.ts';
import { type Case, makeCase, makeStep, type SendIpiExStep, type SendIpiStep } from '../../src/case/case.ts';

const one = [{ vpIndex: 0 }];
const call = (given: Partial<SendIpiStep> = {}) =>
  makeCase(one, [makeStep({ do: 'send-ipi', vector: 0xfe, ...given })]);
const callEx = (given: Partial<SendIpiExStep> = {}) =>
  makeCase(one, [makeStep({ do: 'send-ipi-ex', vector: 0xfe, ...given })]);

describe('isSimpler', () => {
  it.each<[string, Case, Case]>([
    [
      'fewer vCPUs, whatever the steps',
      makeCase(one, [...call().steps, ...call().steps]),
      makeCase([...one, { vpIndex: 1 }], call().steps),
    ],
    [
      'a VP index that is the position',
      makeCase([...one, { vpIndex: 1 }], call().steps),
      makeCase([...one, { vpIndex: 0 }], call().steps),
    ],
    ['fewer steps', callEx({ fast: true }), makeCase(one, [...call().steps, makeStep({ do: 'run' })])],
    ['send-ipi', call({ targets: [0] }), callEx()],
    ['a slow call', call({ targets: [0] }), call({ fast: true })],
    ['fewer targets', call({ targets: [63] }), call({ targets: [0, 1] })],
    ['a target that the machine has', call({ targets: [0] }), call({ targets: [1] })],
    ['a header that agrees', callEx(), callEx({ variableHeader: 0 })],
    ['vector 0xfe', call(), call({ vector: 0x10 })],
    ['a legal vector', call({ vector: 0xff }), call({ vector: 0 })],
    ['no address', call(), call({ gpa: 0x100000n })],
    ['the end of RAM', call({ gpa: 0x100000n }), call({ gpa: 0xf0000n })],
    ['the usual tail', call(), call({ tail: 0n })],
    ['format 0', callEx(), callEx({ format: 1n })],
  ])('should prefer %s', (_, simple, other) => {
    expect(isSimpler(simple, other)).toBe(true);
    expect(isSimpler(other, simple)).toBe(false);
  });

  it('should be a strict order: nothing is simpler than itself, and never both ways', () => {
    const arbitrary = caseArbitrary(usualSwarm);
    fc.assert(
      fc.property(arbitrary, arbitrary, (a, b) => {
        expect(isSimpler(a, a)).toBe(false);
        expect(isSimpler(a, b) && isSimpler(b, a)).toBe(false);
      }),
      { seed: 42, numRuns: 100 },
    );
  });
});
