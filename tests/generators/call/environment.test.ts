import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { buildEnvironment, type EnvironmentPlan, environmentPlan } from '../../../generators/call/environment.ts';
import { usualSwarm } from '../../../generators/swarm.ts';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { itDrawsLawfully } from '../laws.ts';
import { isWellFormed } from '../../../src/case/checks.ts';

const always = environmentPlan({ ...usualSwarm, environmentPercent: 100 });
const pages = [0xf0000n, 0xf1000n];
const plain: EnvironmentPlan = { mode: 'long', cpl: 0, way: 'bare', page: 0 };

describe('environmentPlan', () => {
  itDrawsLawfully<EnvironmentPlan>({ arbitrary: always, expectValid, keyOf: (plan) => JSON.stringify(plan) });

  it('should draw only the plain entry where the swarm says so', () => {
    const plans = fc.sample(environmentPlan({ ...usualSwarm, environmentPercent: 0, compatPercent: 0 }), {
      seed: 42,
      numRuns: 200,
    });
    expect(plans).toEqual(plans.map(() => plain));
  });

  it('should draw 32-bit code segments apart from other entries', () => {
    const plans = fc.sample(environmentPlan({ ...usualSwarm, environmentPercent: 0, compatPercent: 40 }), {
      seed: 42,
      numRuns: 1000,
    });
    const compat = plans.filter(({ mode }) => mode === 'compat');
    expect(compat).toEqual(compat.map(() => ({ ...plain, mode: 'compat' })));
    expect(compat.length / plans.length).toBeCloseTo(0.4, 1);
  });

  it('should draw every mode that is drawn at all with every way, and every privilege level', () => {
    const plans = fc.sample(always, { seed: 42, numRuns: 1000 });
    const drawn = new Set(plans.map(({ mode, way }) => `${mode} ${way}`));
    const modes = ['compat', 'long', 'protected16', 'protected32', 'real', 'unpaged32'];
    expect([...drawn].sort()).toEqual(
      modes.flatMap((mode) => ['bare', 'other', 'page'].map((way) => `${mode} ${way}`)),
    );
    expect(new Set(plans.map(({ cpl }) => cpl))).toEqual(new Set([0, 1, 2, 3]));
  });
});

describe('buildEnvironment', () => {
  it.each<[string, Partial<EnvironmentPlan>, ReturnType<typeof buildEnvironment>]>([
    ['the plain entry', {}, { mode: 'long', cpl: 0, page: null, opcode: 'native' }],
    ['the other opcode', { way: 'other' }, { mode: 'long', cpl: 0, page: null, opcode: 'other' }],
    ['a page', { way: 'page', mode: 'compat', cpl: 3 }, { mode: 'compat', cpl: 3, page: 0xf0000n, opcode: 'native' }],
    ['one of the pages', { way: 'page', page: 7 }, { mode: 'long', cpl: 0, page: 0xf1000n, opcode: 'native' }],
    [
      'no page in a 16-bit segment',
      { way: 'page', mode: 'protected16' },
      { mode: 'protected16', cpl: 0, page: null, opcode: 'native' },
    ],
    [
      'no privilege level in real mode',
      { mode: 'real', cpl: 3 },
      { mode: 'real', cpl: 0, page: null, opcode: 'native' },
    ],
  ])('should give %s', (_, fields, entry) => {
    expect(buildEnvironment({ ...plain, ...fields }, pages)).toEqual(entry);
  });

  it('should give a bare instruction as long as no page was enabled', () => {
    expect(buildEnvironment({ ...plain, way: 'page' }, []).page).toBeNull();
  });
});

/** A plan is valid when a call with it is. */
function expectValid(plan: EnvironmentPlan): void {
  for (const known of [[], pages]) {
    const value = makeCase([{}], [makeStep({ do: 'send-ipi', ...buildEnvironment(plan, known) })]);
    expect(isWellFormed(value)).toBe(true);
  }
}
