import { describe, expect, it } from 'vitest';
import { type CallStep, makeCase, makeStep, type Step } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { groupFrom } from '../../../src/executor/program-runner.ts';

function groups(steps: Step[]): number[] {
  const program = encodeCase(makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], steps));
  const lengths: number[] = [];
  for (let at = 0; at < steps.length;) {
    const length = program.steps[at]!.kind !== 'call' ? 1 : groupFrom(program.steps, at).length;
    lengths.push(length);
    at += length;
  }
  return lengths;
}

const call = (fields: Partial<Extract<CallStep, { do: 'send-ipi' }>> = {}) => makeStep({ do: 'send-ipi', ...fields });

describe('groupFrom', () => {
  it('should put calls of one sender into one run', () => {
    expect(groups([call(), call({ fast: true }), call()])).toEqual([3]);
  });

  it('should start anew at another sender and at a run step', () => {
    expect(groups([call(), call({ sender: 1 }), makeStep({ do: 'run' }), call({ sender: 1 })])).toEqual([1, 1, 1, 1]);
  });

  it('should give every call with an entry of its own, and every change, a run of its own', () => {
    const entered = call({ mode: 'real' });
    const change = makeStep({ do: 'write-msr', msr: 'guest-os-id', value: 0n });

    expect(groups([call(), entered, entered, call(), call()])).toEqual([1, 1, 1, 2]);
    expect(groups([call(), change, call(), makeStep({ do: 'init', vcpu: 1 }), call()])).toEqual([1, 1, 1, 1, 1]);
  });

  it('should put calls of other privilege levels, of compatibility mode and through a page into the same run', () => {
    expect(groups([call(), call({ cpl: 3 }), call({ mode: 'compat' }), call({ page: 0xf0000n })])).toEqual([4]);
  });

  it('should start anew where an input block would overwrite a page through which a call goes', () => {
    const page = 0xf0000n;

    expect(groups([call({ page }), call({ gpa: page })])).toEqual([1, 1]);
    expect(groups([call({ page }), call({ gpa: page + 0xff8n })])).toEqual([1, 1]);
    expect(groups([call({ gpa: page }), call({ page })])).toEqual([2]);
  });

  it('should start anew where an input block would overwrite one that has not been read yet', () => {
    const gpa = 0xf0000n;

    expect(groups([call({ gpa }), call({ gpa })])).toEqual([1, 1]);
    expect(groups([call({ gpa }), call({ gpa: gpa + 24n + 511n })])).toEqual([1, 1]);
    expect(groups([call({ gpa }), call({ gpa: gpa + 24n + 512n })])).toEqual([2]);
  });
});
