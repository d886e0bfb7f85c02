import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EnvironmentPlan, environmentPlan, setEnvironment } from '../../../generators/call/environment.ts';
import { usualSwarm } from '../usual-swarm.ts';
import { makeCase, makeStep } from '../../../src/case/case.ts';
import { itDrawsLawfully } from '../laws.ts';
import { type Environment, environmentOf } from '../../../src/case/steps/environment.ts';
import { isWellFormed } from '../../../src/case/checks.ts';

const always = environmentPlan({ ...usualSwarm, environmentPercent: 100 });
const pages = [0xf0000n, 0xf1000n];
const plain: EnvironmentPlan = { mode: 'long', cpl: 0, way: 'bare', rflags: 'plain', page: 0 };

/** The environment of a call that is made so. */
function buildEnvironment(plan: EnvironmentPlan, enabled: readonly bigint[], canOpen: boolean): Environment {
  const call = makeStep({ do: 'send-ipi' });
  setEnvironment(call, plan, enabled, canOpen);
  return environmentOf(call);
}

const bare = { mode: 'long', cpl: 0, page: null, opcode: 'native', rflags: 'plain' } as const;

describe('environmentPlan', () => {
  itDrawsLawfully<EnvironmentPlan>({ arbitrary: always, expectValid, keyOf: (plan) => JSON.stringify(plan) });

  it('should draw only the plain entry where the swarm says so', () => {
    const plans = fc.sample(
      environmentPlan({ ...usualSwarm, environmentPercent: 0, compatPercent: 0, flagsPercent: 0 }),
      {
        seed: 42,
        numRuns: 200,
      },
    );
    expect(plans).toEqual(plans.map(() => plain));
  });

  it('should draw 32-bit code segments apart from other entries', () => {
    const plans = fc.sample(
      environmentPlan({ ...usualSwarm, environmentPercent: 0, compatPercent: 40, flagsPercent: 0 }),
      {
        seed: 42,
        numRuns: 1000,
      },
    );
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

describe('setEnvironment', () => {
  it.each<[string, Partial<EnvironmentPlan>, Environment]>([
    ['the plain entry', {}, { mode: 'long', cpl: 0, page: null, opcode: 'native', rflags: 'plain' }],
    ['the other opcode', { way: 'other' }, { mode: 'long', cpl: 0, page: null, opcode: 'other', rflags: 'plain' }],
    [
      'a page',
      { way: 'page', mode: 'compat', cpl: 3 },
      { mode: 'compat', cpl: 3, page: 0xf0000n, opcode: 'native', rflags: 'plain' },
    ],
    [
      'one of the pages',
      { way: 'page', page: 7 },
      { mode: 'long', cpl: 0, page: 0xf1000n, opcode: 'native', rflags: 'plain' },
    ],
    [
      'no page in a 16-bit segment',
      { way: 'page', mode: 'protected16' },
      { mode: 'protected16', cpl: 0, page: null, opcode: 'native', rflags: 'plain' },
    ],
    ['both flags', { rflags: 'if-tf', mode: 'compat' }, { ...bare, mode: 'compat', rflags: 'if-tf' }],
    ['no trap through a page', { rflags: 'if-tf', way: 'page' }, { ...bare, page: 0xf0000n, rflags: 'if' }],
    ['no flags where the host enters', { rflags: 'if', mode: 'unpaged32' }, { ...bare, mode: 'unpaged32' }],
    ['no flags with the other opcode', { rflags: 'tf', way: 'other' }, { ...bare, opcode: 'other' }],
    [
      'no privilege level in real mode',
      { mode: 'real', cpl: 3 },
      { mode: 'real', cpl: 0, page: null, opcode: 'native', rflags: 'plain' },
    ],
  ])('should give %s', (_, fields, entry) => {
    expect(buildEnvironment({ ...plain, ...fields }, pages, true)).toEqual(entry);
  });

  it('should give no IF to a caller that may not take interrupts', () => {
    expect(buildEnvironment({ ...plain, rflags: 'if-tf' }, pages, false).rflags).toBe('tf');
    expect(buildEnvironment({ ...plain, rflags: 'if' }, pages, false).rflags).toBe('plain');
  });

  it('should give a bare instruction as long as no page was enabled', () => {
    expect(buildEnvironment({ ...plain, way: 'page' }, [], true).page).toBeNull();
  });
});

/** A plan is valid when a call with it is. */
function expectValid(plan: EnvironmentPlan): void {
  for (const known of [[], pages]) {
    const value = makeCase([{}], [makeStep({ do: 'send-ipi', ...buildEnvironment(plan, known, true) })]);
    expect(isWellFormed(value)).toBe(true);
  }
}
