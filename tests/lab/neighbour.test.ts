/** Two VMs of one host: what shows of the one in the other is KVM's own fault, and nothing else does. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { judge } from '../../oracle/compare/verdict.ts';
import { predict } from '../../oracle/model.ts';
import { makeCase, makeStep } from '../../src/case/case.ts';
import { type Neighbour, plainNeighbour } from '../../src/case/neighbour.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { isLabMissing, openTestLab } from './support.ts';

const call = makeStep({ do: 'send-ipi', targets: [0, 1, 2] });
const vcpus = [
  { vpIndex: 0 },
  { vpIndex: 1, apic: 'software-disabled' },
  { vpIndex: 2, apic: 'hardware-disabled' },
] as const;

describe.skipIf(isLabMissing)('two VMs on KVM of debian:6.12', () => {
  let lab: Lab;

  beforeAll(async () => {
    lab = await openTestLab('debian:6.12');
  });

  afterAll(async () => lab[Symbol.asyncDispose]());

  it.each<[string, Partial<Neighbour>]>([
    ['one without LAPICs that sends', { irqchip: 'none', busy: true }],
    ['one with Xen', { xen: 'msr', apic: 'hardware-disabled' }],
    ['one that is just gone', { life: 'gone', apic: 'software-disabled', busy: true }],
    ['one that is gone for more than a second', { life: 'long-gone', irqchip: 'none' }],
  ])('should do beside %s what one does alone', async (_, neighbour) => {
    const machine = { neighbour: { ...plainNeighbour, ...neighbour } };
    const program = encodeCase(makeCase(vcpus, [call, makeStep({ do: 'run' })], machine));
    for (const exact of [true, false]) {
      const [seen] = await lab.run([program], { exact });
      expect(judge(program, predict(program, lab.facts), seen!)).toEqual({ kind: 'match' });
    }
  });

  it('should heed the flag for Xen without an MSR as docs/findings/xen-flag-alone.md says', async () => {
    const exitBeside = async (neighbour: Partial<Neighbour> | null) => {
      const other = neighbour === null ? null : { ...plainNeighbour, ...neighbour };
      const program = encodeCase(makeCase(vcpus, [call], { xen: 'flag', neighbour: other }));
      const [seen] = await lab.run([program], { exact: true });
      return seen!.steps[0]!.exit;
    };
    expect(await exitBeside({ life: 'long-gone' })).toBe(null);
    expect(await exitBeside({ xen: 'msr' })).toBe('xen');
    expect(await exitBeside({ life: 'long-gone' })).toBe(null);
  });
});
