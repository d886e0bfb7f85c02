/** Differences of a second VM. The VM under test must not change what it does. */
import type { Observation } from '../../src/program/observation.ts';
import { untouchedLapic } from '../state/machine.ts';
import type { Difference, Outcome } from '../outcome.ts';
import { lapicDifferences } from './lapic-differences.ts';

const untouched = { expected: untouchedLapic, observed: untouchedLapic };

export function neighbourDifferences(expected: Outcome['neighbour'], observed: Observation['neighbour']): Difference[] {
  if (expected === null && observed === null) return [];
  if (expected === null || observed === null || expected.length !== observed.length) {
    const vcpus = (lapics: Outcome['neighbour']): string => (lapics === null ? 'none' : `${lapics.length} vCPUs`);
    const texts = { expected: vcpus(expected), observed: vcpus(observed) };
    return [{ step: null, vcpu: null, what: 'second VM', ...texts }];
  }
  return expected.flatMap((lapic, position) =>
    lapicDifferences({ expected: lapic, observed: observed[position]! }, untouched).map((difference) => ({
      step: null,
      vcpu: null,
      what: `second VM, vCPU ${position}, ${difference.what}`,
      expected: difference.expected,
      observed: difference.observed,
    })),
  );
}
