import { describe, expect, it } from 'vitest';
import {
  callModes,
  describeEnvironment,
  type Environment,
  environmentDimensions,
  environmentOf,
  environmentWeight,
  isPlainEnvironment,
  isRealMode,
  opens,
  plainEnvironment,
  plainerEnvironments,
  traps,
} from '../../../../src/case/steps/environment.ts';
import { makeStep } from '../../../../src/case/case.ts';

/** Every environment but for where the page is. */
const all: readonly Environment[] = callModes.flatMap((mode) =>
  (isRealMode(mode) ? [0] : [0, 1, 2, 3]).flatMap((cpl) =>
    ([null, 0xf0000n] as const).flatMap((page) =>
      (['native', 'other'] as const).flatMap((opcode) =>
        (['plain', 'if', 'tf', 'if-tf'] as const).map((rflags) => ({ mode, cpl, page, opcode, rflags })),
      ),
    ),
  ),
);

describe('environments', () => {
  it('should be plain in one way', () => {
    expect(all.filter(isPlainEnvironment)).toEqual([plainEnvironment]);
  });

  it('should each have a text and a place in coverage of their own', () => {
    expect(new Set(all.map(describeEnvironment)).size).toBe(all.length);
    for (const { values, of } of environmentDimensions) {
      expect(new Set(all.map(of))).toEqual(new Set(values));
    }
  });

  it('should be read as people write them', () => {
    expect(describeEnvironment(plainEnvironment)).toBe('long mode, CPL 0, a bare instruction');
    const odd: Environment = { mode: 'compat', cpl: 3, page: 0xf0000n, opcode: 'other', rflags: 'if-tf' };
    expect(describeEnvironment(odd)).toBe(
      "compat mode, CPL 3, the hypercall page at 0xf0000 of the other vendor's, IF and TF set",
    );
  });

  it('should be lighter where they are plainer', () => {
    for (const environment of all) {
      for (const parts of plainerEnvironments(environment)) {
        expect(environmentWeight({ ...environment, ...parts })).toBeLessThan(environmentWeight(environment));
      }
    }
  });

  it('should be all of a call that says how it is made', () => {
    const call = makeStep({ do: 'send-ipi-ex', mode: 'compat', rflags: 'tf', vector: 0x40 });
    expect(environmentOf(call)).toEqual({ ...plainEnvironment, mode: 'compat', rflags: 'tf' });
    expect([opens(call), traps(call)]).toEqual([false, true]);
  });
});
