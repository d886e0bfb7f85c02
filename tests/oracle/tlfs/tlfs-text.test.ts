import { describe, expect, it } from 'vitest';
import type { StepOutcome } from '../../../oracle/outcome.ts';
import { predict } from '../../../oracle/model.ts';
import { deliveryRules, type JudgedCall, judgeByTlfs, type Permitted } from '../../../oracle/tlfs/tlfs.ts';
import { tlfsRules } from '../../../oracle/tlfs/tlfs-rules.ts';
import {
  formatDone,
  formatPermitted,
  formatVerdict,
  tlfsSourceOf,
  unlistedDifference,
  unlistedSignature,
} from '../../../oracle/tlfs/tlfs-text.ts';
import { type CallRegisters, facts, literalCall, programOf } from '../programs.ts';

const permitted: Permitted = { rules: [], success: true, errors: [], fault: false, receivers: [] };
const fine = { rcx: 0x0001_000bn, rdx: 0xfen, r8: 1n };

describe('formatPermitted', () => {
  it.each<[Partial<Permitted>, string]>([
    [{}, 'HV_STATUS_SUCCESS (0), nobody receives'],
    [{ receivers: [[1], [3]] }, 'HV_STATUS_SUCCESS (0), received by vCPU 1, 3'],
    [{ receivers: [[0, 2]] }, 'HV_STATUS_SUCCESS (0), received by one of vCPU 0, 2'],
    [
      { receivers: [[4], [0, 2], [1, 3]] },
      'HV_STATUS_SUCCESS (0), received by vCPU 4 and one of vCPU 0, 2 and one of vCPU 1, 3',
    ],
    [{ success: false, errors: [3, 5] }, 'HV_STATUS_INVALID_HYPERCALL_INPUT (3) or HV_STATUS_INVALID_PARAMETER (5)'],
    [{ success: false, errors: null }, 'any error'],
    [{ success: false, fault: true }, '#UD (vector 6)'],
    [{ errors: [5], fault: true, receivers: [[1]] }, 'HV_STATUS_SUCCESS (0), received by vCPU 1; or HV_STATUS_INVALID_PARAMETER (5) or #UD (vector 6)'], // prettier-ignore
    [{ errors: null }, 'HV_STATUS_SUCCESS (0), nobody receives; or any error'],
  ])('should say %o as %s', (change, text) => {
    expect(formatPermitted({ ...permitted, ...change })).toBe(text);
  });
});

describe('formatDone', () => {
  it.each<[string, Partial<StepOutcome>, string]>([
    ['a delivery', {}, 'HV_STATUS_SUCCESS (0), received by vCPU 0'],
    ['deliveries', { receivers: [0, 1] }, 'HV_STATUS_SUCCESS (0), received by vCPU 0, 1'],
    ['success without one', { receivers: [] }, 'HV_STATUS_SUCCESS (0), nobody receives'],
    ['an error', { result: 3n, receivers: [] }, 'HV_STATUS_INVALID_HYPERCALL_INPUT (3)'],
    ['an error with a delivery', { result: 3n }, 'HV_STATUS_INVALID_HYPERCALL_INPUT (3), received by vCPU 0'],
    ['an exception', { result: null, exception: 6 }, '#UD (vector 6)'],
    ['an exit', { result: 0x5an, exit: 'xen' }, 'exit to the VMM (xen)'],
    ['no call', { call: null }, 'the call is not made: the page holds no hypercall instruction'],
  ])('should say %s', (_, change, text) => {
    expect(formatDone({ ...judged(fine).done, ...change })).toBe(text);
  });

  it("should say that it was KVM's own interface", () => {
    expect(formatDone(judged(fine, 0n).done)).toBe("RAX 0xfffffffffffffc18 of KVM's own hypercall interface");
  });
});

describe('formatVerdict', () => {
  const refused = { ...judged(fine), violations: [{ kind: 'refused', rule: 'named-vps-receive' }] } as const;

  it('should name what is permitted, known and not listed', () => {
    expect(formatVerdict(judged(fine))).toBe('permitted');
    expect(formatVerdict(judged({ ...fine, rdx: 5n }))).toBe('deviation bad-vector-status (D01)');
    expect(formatVerdict(judged({ rcx: 0x0001_0015n, rdx: 5n, r8: 2n }))).toBe(
      'deviation unknown-format-is-sparse (D06), deviation empty-sparse-skips-vector (D07)',
    );
    expect(formatVerdict(refused)).toBe('NOT LISTED: tlfs:named-vps-receive/refused by deliver');
  });

  it('should make a signature and a difference of what is not listed', () => {
    expect(unlistedSignature(refused, refused.violations[0])).toBe('tlfs:named-vps-receive/refused by deliver');
    expect(unlistedDifference(refused)).toEqual({
      step: 0,
      vcpu: null,
      what: 'TLFS',
      expected: 'HV_STATUS_SUCCESS (0), received by vCPU 0; or #UD (vector 6)',
      observed: 'HV_STATUS_SUCCESS (0), received by vCPU 0',
    });
  });
});

describe('tlfsSourceOf', () => {
  it('should cite rules and deliveries, with the prefix of signatures or without', () => {
    for (const { name, source } of tlfsRules) {
      expect(tlfsSourceOf(name)).toBe(source);
      expect(tlfsSourceOf(`tlfs:${name}`)).toBe(source);
    }
    expect(tlfsSourceOf('vp-index-unique')).toBe(deliveryRules['vp-index-unique']);
    expect(tlfsSourceOf('tlfs:named-vps-receive')).toBe(deliveryRules['named-vps-receive']);
  });

  it.each(['deliver', 'tlfs:deliver', '', 'tlfs:'])('should know nothing of "%s"', (name) => {
    expect(tlfsSourceOf(name)).toBeNull();
  });
});

function judged(call: CallRegisters, guestOsId = 1n): JudgedCall {
  const program = programOf([0, 1], [literalCall(call)], { guestOsId });
  return judgeByTlfs(program, predict(program, facts), facts)[0]!;
}
