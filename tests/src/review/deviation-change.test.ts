import { describe, expect, it } from 'vitest';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { classify } from '../../../src/review/difference.ts';
import { doesAs, seenOf, withResult } from './pairs.ts';

const fast = makeStep({ do: 'send-ipi', fast: true, targets: [0] });
/** UseTargetVtl with VTL 0: TLFS permits it, KVM refuses it. */
const withVtl = makeCase([{ vpIndex: 0 }], [{ ...fast, targetVtl: 0x10 }]);
const delivered = makeCase([{ vpIndex: 0 }], [fast]);

describe('classify', () => {
  it('should say which deviation a change mends', () => {
    const pair = { base: seenOf(withVtl), kernel: seenOf(withVtl, doesAs(delivered)) };

    expect(classify(pair)).toEqual({ kind: 'mends', key: 'mends deviation D03 fast-0b-vtl-rejected' });
  });

  it('should say which deviation a change makes', () => {
    const pair = { base: seenOf(withVtl, doesAs(delivered)), kernel: seenOf(withVtl) };

    expect(classify(pair)).toEqual({ kind: 'makes', key: 'makes deviation D03 fast-0b-vtl-rejected' });
  });

  it('should not take a status alone for a deviation that is mended', () => {
    const pair = { base: seenOf(withVtl), kernel: seenOf(withVtl, withResult(0, 0n)) };

    expect(classify(pair)).toEqual({ kind: 'new', key: 'new divergence:fast-reserved-bits/result' });
  });

  it('should call what leaves TLFS in another way new', () => {
    const badVector = makeCase([{ vpIndex: 0 }], [{ ...fast, vector: 5 }]);

    expect(classify({ base: seenOf(badVector), kernel: seenOf(badVector, withResult(0, 4n)) })?.kind).toBe('new');
    expect(classify({ base: seenOf(badVector), kernel: seenOf(badVector, withResult(0, 5n)) })).toEqual({
      kind: 'mends',
      key: 'mends deviation D01 bad-vector-status',
    });
  });
});
