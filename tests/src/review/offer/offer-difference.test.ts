import { describe, expect, it } from 'vitest';
import type { KvmOffer } from '../../../../src/executor/offer.ts';
import { exitCodeOfComparison } from '../../../../src/review/text/comparison-summary.ts';
import { formatOfferDifference, offerDifferences } from '../../../../src/review/offer/offer-difference.ts';

const page = (words: Readonly<Record<number, number>>): string => {
  const bytes = Buffer.alloc(1024);
  for (const [offset, value] of Object.entries(words)) bytes.writeUInt32LE(value, Number(offset));
  return bytes.toString('hex');
};
const leaf = (number: number, edx: number) => ({ leaf: number, subleaf: 0, eax: 1, ebx: 2, ecx: 3, edx });
const offer: KvmOffer = {
  capabilities: { 66: 4096, 161: 1 },
  cpuid: [leaf(1, 0x10)],
  hypervCpuid: [leaf(0x4000_0003, 0x18)],
  lapic: { 'kernel x2apic': page({ 0x30: 0x50014 }), 'split xapic': page({ 0x30: 0x1050014 }) },
  msrs: { '0x40000002': '0x0', '0x40000081': '0x1' },
};
const names = { base: 'before', kernel: 'after' };
const textOf = (changes: Partial<KvmOffer>): string[] =>
  offerDifferences(offer, { ...offer, ...changes }).map((one) => formatOfferDifference(one, names));

describe('offerDifferences', () => {
  it('should find none between a KVM and itself', () => {
    expect(offerDifferences(offer, structuredClone(offer))).toEqual([]);
  });

  it.each<[string, Partial<KvmOffer>, string]>([
    [
      'another LAPIC version',
      { lapic: { ...offer.lapic, 'split xapic': page({ 0x30: 0x50014 }) } },
      'LAPIC split xapic, version: 0x1050014 before, 0x50014 after; bit 24 gone',
    ],
    [
      'a word between the registers',
      { lapic: { ...offer.lapic, 'split xapic': page({ 0x30: 0x1050014, 0x34: 1 }) } },
      'LAPIC split xapic, byte 0x34: 0x0 before, 0x1 after; bit 0 new',
    ],
    [
      'a mode that is gone',
      { lapic: { 'kernel x2apic': page({ 0x30: 0x50014 }) } },
      'LAPIC split xapic: there before, none after',
    ],
    [
      'another Hyper-V leaf',
      { hypervCpuid: [...offer.hypervCpuid, leaf(0x4000_0082, 0)] },
      'Hyper-V CPUID leaf 0x40000082: none before, 0x1 0x2 0x3 0x0 after',
    ],
    [
      'other bits of a leaf',
      { hypervCpuid: [leaf(0x4000_0003, 0x8)] },
      'Hyper-V CPUID leaf 0x40000003 EDX: 0x18 before, 0x8 after; bit 4 gone',
    ],
    ['another capability', { capabilities: { 66: 4096 } }, 'KVM_CAP_HYPERV_SEND_IPI (161): 1 before, 0 after'],
    ['another limit', { capabilities: { 66: 1024, 161: 1 } }, 'KVM_CAP_MAX_VCPUS (66): 4096 before, 1024 after'],
    [
      'an MSR that cannot be read any more',
      { msrs: { '0x40000002': '0x0' } },
      'HV_X64_MSR_SVERSION (0x40000081): 0x1 before, not readable after',
    ],
    [
      'another value of an MSR',
      { msrs: { '0x40000002': '0x8000000000000000', '0x40000081': '0x1' } },
      'HV_X64_MSR_VP_INDEX (0x40000002): 0x0 before, 0x8000000000000000 after; bit 63 new',
    ],
  ])('should tell %s', (_, changes, text) => {
    expect(textOf(changes)).toEqual([text]);
  });

  it('should not count a capability that nobody was asked for as one that is gone', () => {
    expect(textOf({ capabilities: { ...offer.capabilities, 300: 0 } })).toEqual([]);
  });

  it('should count as a change of behaviour', () => {
    const offers = offerDifferences(offer, { ...offer, capabilities: {} });

    expect(exitCodeOfComparison({ groups: [], offers })).toBe(1);
    expect(exitCodeOfComparison({ groups: [], offers: [] })).toBe(0);
    expect(exitCodeOfComparison({ groups: [], offers: null })).toBe(0);
  });
});
