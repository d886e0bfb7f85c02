import { describe, expect, it } from 'vitest';
import { type Case, makeCase, makeStep } from '../../../src/case/case.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { viewOutcome } from '../../../src/campaign/text/view.ts';
import { assumedFacts } from '../../../src/commands/common/assumed-facts.ts';
import { causeSource, contractCause } from '../../../src/review/contract-cause.ts';
import { viewDifferences } from '../../../src/review/guest-difference.ts';
import { predict } from '../../../oracle/model.ts';

const [older, newer] = [assumedFacts('debian:6.1'), assumedFacts('debian:6.12')];
const toNobody = makeStep({ do: 'send-ipi' });

describe('contractCause', () => {
  it.each<[string, string, Case]>([
    ['vpIndexLimit', 'a machine', makeCase([{ vpIndex: 1024 }], [toNobody])],
    [
      'vpIndexLimit',
      'an MSR',
      makeCase([{ vpIndex: 0 }], [makeStep({ do: 'write-msr', msr: 'vp-index', value: 0x400n }), toNobody]),
    ],
    ['hasExtendedCalls', 'a slow call', makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi', controlBits: [15] })])],
    [
      'hasExtendedCalls',
      'a fast call',
      makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi', fast: true, controlBits: [15] })]),
    ],
    ['interceptsXen', 'a call', makeCase([{ vpIndex: 0 }], [toNobody], { xen: true })],
    [
      'interceptsXen',
      'the page',
      makeCase(
        [{ vpIndex: 0 }],
        [
          makeStep({ do: 'write-msr', msr: 'hypercall', value: 0xf0001n }),
          makeStep({ do: 'send-ipi', page: 0xf0000n, cpl: 3 }),
        ],
        { xen: true },
      ),
    ],
  ])('should find %s in what %s shows', (point, _, value) => {
    expect(causeOf(value)).toBe(point);
    expect(causeSource(`contract ${point}`)).toContain('in ');
  });

  it('should find the one of two that the first difference comes from', () => {
    const value = makeCase(
      [{ vpIndex: 0 }],
      [makeStep({ do: 'send-ipi', controlBits: [15] }), makeStep({ do: 'write-msr', msr: 'vp-index', value: 0x400n })],
    );

    expect(causeOf(value)).toBe('hasExtendedCalls');
  });
});

function causeOf(value: Case): string | null {
  const program = encodeCase(value);
  const [first] = viewDifferences(viewOutcome(predict(program, older)), viewOutcome(predict(program, newer)));
  return contractCause(program, older, newer, first!);
}
