import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { APIC_IRR, APIC_ISR, APIC_TMR } from '../../../src/abi/lapic.ts';
import { makeVcpu, type VcpuSetup } from '../../../src/case/case.ts';
import {
  acceptsInterrupts,
  acceptVector,
  type Apic,
  apicOf,
  changedApic,
  initializedLapic,
  presetLapic,
  takeableVectors,
  untouchedLapic,
  vectorsOf,
  withApic,
  withoutPending,
} from '../../../oracle/state/machine.ts';

const vcpu = (setup: Partial<VcpuSetup>) => makeVcpu(setup);
const on: Apic = { isHardwareEnabled: true, isSoftwareEnabled: true };
const softwareOff: Apic = { isHardwareEnabled: true, isSoftwareEnabled: false };
const hardwareOff: Apic = { isHardwareEnabled: false, isSoftwareEnabled: true };
const [tpr, ppr, spiv, id] = [0x80, 0xa0, 0xf0, 0x20];

describe('apicOf', () => {
  it.each([
    ['x2apic', on, true],
    ['xapic', on, true],
    ['software-disabled', softwareOff, false],
    ['hardware-disabled', hardwareOff, false],
  ] as const)('should know %s', (apic, expected, accepts) => {
    expect(apicOf(vcpu({ apic }))).toEqual(expected);
    expect(acceptsInterrupts(expected)).toBe(accepts);
  });
});

describe('presetLapic', () => {
  it('should be untouched where nothing is preset', () => {
    expect(presetLapic(vcpu({}))).toBe(untouchedLapic);
  });

  it.each<[string, Partial<VcpuSetup>, [number, number][]]>([
    ['TPR and the PPR that follows', { tpr: 4 }, [[tpr, 0x40], [ppr, 0x40]]], // prettier-ignore
    ['the highest TPR', { tpr: 15 }, [[tpr, 0xf0], [ppr, 0xf0]]], // prettier-ignore
    ['IRR alone', { irr: [0x20, 0x3f, 0xfe] }, [[0x210, 0x8000_0001], [0x270, 0x4000_0000]]], // prettier-ignore
    ['ISR and the PPR that follows', { isr: [0x41, 0x5f] }, [[0x120, 0x8000_0002], [ppr, 0x50]]], // prettier-ignore
    ['a TPR above ISR', { tpr: 6, isr: [0x41] }, [[0x120, 2], [tpr, 0x60], [ppr, 0x60]]], // prettier-ignore
    ['a TPR below ISR', { tpr: 3, isr: [0x41] }, [[0x120, 2], [tpr, 0x30], [ppr, 0x40]]], // prettier-ignore
    ['the same vector pending and in service', { irr: [0x41], isr: [0x41] }, [[0x220, 2], [0x120, 2], [ppr, 0x40]]], // prettier-ignore
  ])('should have %s', (_, setup, words) => {
    expect(presetLapic(vcpu(setup))).toEqual(new Map(words));
  });
});

describe('acceptVector', () => {
  it('should set the IRR bit and clear the TMR bit, and leave the page that it got', () => {
    expect(acceptVector(untouchedLapic, 0x1f)).toEqual(new Map([[0x200, 0x8000_0000], [0x180, 0x7fff_ffff]])); // prettier-ignore
    expect(untouchedLapic.size).toBe(0);
  });

  it('should keep the other bits', () => {
    const lapic = acceptVector(acceptVector(presetLapic(vcpu({ irr: [0x21], tpr: 1 })), 0x20), 0x3f);
    expect(lapic).toEqual(new Map([[0x210, 0x8000_0003], [0x190, 0x7fff_fffe], [tpr, 0x10], [ppr, 0x10]])); // prettier-ignore
  });

  it('should change nothing when the vector is pending already', () => {
    const once = acceptVector(untouchedLapic, 0x1f);
    expect(acceptVector(once, 0x1f)).toBe(once);
  });

  it('should clear TMR for a vector that was pending from the start, and set IRR for one whose TMR is clear', () => {
    const pending = presetLapic(vcpu({ irr: [0x20] }));
    expect(acceptVector(pending, 0x20)).toEqual(new Map([[0x210, 1], [0x190, 0xffff_fffe]])); // prettier-ignore
    const taken = withoutPending(acceptVector(untouchedLapic, 0x20), [0x20]);
    expect(acceptVector(taken, 0x20)).toEqual(new Map([[0x210, 1], [0x190, 0xffff_fffe]])); // prettier-ignore
  });
});

describe('vectorsOf', () => {
  it('should list the vectors of any set, highest first', () => {
    const vectors = fc.uniqueArray(fc.integer({ min: 0, max: 255 }));
    const property = fc.property(vectors, (set) => {
      const lapic = set.reduce(acceptVector, untouchedLapic);
      expect(vectorsOf(lapic, APIC_IRR)).toEqual(set.toSorted((a, b) => b - a));
      expect(vectorsOf(lapic, APIC_ISR)).toEqual([]);
    });
    fc.assert(property, { seed: 7, numRuns: 100 });
  });
});

describe('takeableVectors', () => {
  it('should list the highest first and leave class 0 alone', () => {
    const lapic = [0x0f, 0x10, 0xff, 0x5f, 0x60].reduce(acceptVector, untouchedLapic);
    expect(takeableVectors(lapic)).toEqual([0xff, 0x60, 0x5f, 0x10]);
    expect(takeableVectors(untouchedLapic)).toEqual([]);
  });

  it.each<[string, Partial<VcpuSetup>, number[]]>([
    ['TPR 2', { tpr: 2 }, [0x41, 0x30]],
    ['TPR 1', { tpr: 1 }, [0x41, 0x30, 0x2f, 0x20]],
    ['TPR 15', { tpr: 15 }, []],
    ['ISR 0x31', { isr: [0x31] }, [0x41]],
    ['ISR 0x30', { isr: [0x30] }, [0x41]],
    ['ISR 0x41', { isr: [0x41] }, []],
    ['ISR 0x2f', { isr: [0x2f, 0x10] }, [0x41, 0x30]],
    ['TPR 1 and ISR 0x31', { tpr: 1, isr: [0x31] }, [0x41]],
    ['TPR 3 and ISR 0x21', { tpr: 3, isr: [0x21] }, [0x41]],
  ])('should be what stands above the class of %s', (_, setup, expected) => {
    expect(takeableVectors(presetLapic(vcpu({ irr: [0x1f, 0x20, 0x2f, 0x30, 0x41], ...setup })))).toEqual(expected);
  });
});

describe('withoutPending', () => {
  it('should clear those bits alone and drop words that are 0', () => {
    const lapic = presetLapic(vcpu({ irr: [0x20, 0x21, 0x41], isr: [0x20], tpr: 1 }));
    expect(withoutPending(lapic, [0x41, 0x20])).toEqual(new Map([[0x210, 2], [0x110, 1], [tpr, 0x10], [ppr, 0x20]])); // prettier-ignore
    expect(vectorsOf(lapic, APIC_IRR)).toEqual([0x41, 0x21, 0x20]);
  });

  it('should put up with a vector that is not pending', () => {
    expect(withoutPending(presetLapic(vcpu({ irr: [0x20] })), [0x21, 0x80])).toEqual(new Map([[0x210, 1]]));
  });
});

describe('changedApic', () => {
  it.each([
    ['enabled', on, on],
    ['enabled', softwareOff, on],
    ['enabled', hardwareOff, on],
    ['software-disabled', on, softwareOff],
    ['software-disabled', hardwareOff, softwareOff],
    ['hardware-disabled', on, hardwareOff],
    ['hardware-disabled', softwareOff, { isHardwareEnabled: false, isSoftwareEnabled: false }],
  ] as const)('should make %s of %o', (change, before, after) => {
    expect(changedApic(before, change)).toEqual(after);
  });
});

describe('withApic', () => {
  const x2apic = vcpu({ apic: 'x2apic' });
  const pending = presetLapic(vcpu({ irr: [0x20] }));
  const narrow = (vcpuId: number) => ({ id: vcpuId, isWide: false });

  it('should show no ID in a machine with wide IDs, whose x2APICs have it in full', () => {
    for (const each of [x2apic, vcpu({ apic: 'xapic' })]) {
      expect(withApic(pending, each, { id: 7, isWide: true }, hardwareOff)).toEqual(pending);
    }
  });

  it.each<[string, VcpuSetup, number, Apic, [number, number][]]>([
    ['nothing for an APIC as it was set up', x2apic, 7, on, []],
    ['SPIV', x2apic, 7, softwareOff, [[spiv, 0xff]]],
    ['SPIV of one that was set up disabled', vcpu({ apic: 'software-disabled' }), 7, on, [[spiv, 0x1ff]]],
    ['nothing for one that is still disabled', vcpu({ apic: 'software-disabled' }), 7, softwareOff, []],
    ['the ID out of x2APIC mode', x2apic, 7, hardwareOff, [[id, 7]]],
    ['no ID where both forms are 0', x2apic, 0, hardwareOff, []],
    ['the ID and SPIV', x2apic, 254, { isHardwareEnabled: false, isSoftwareEnabled: false }, [[id, 254], [spiv, 0xff]]], // prettier-ignore
    ['no ID in xAPIC mode', vcpu({ apic: 'xapic' }), 7, hardwareOff, []],
    ['nothing of one that was set up off', vcpu({ apic: 'hardware-disabled' }), 7, hardwareOff, []],
  ])('should show %s', (_, setup, vcpuId, apic, words) => {
    expect(withApic(pending, setup, narrow(vcpuId), apic)).toEqual(new Map([...pending, ...words]));
  });

  it('should take back what it showed', () => {
    const off = withApic(pending, x2apic, narrow(200), { isHardwareEnabled: false, isSoftwareEnabled: false });
    expect(withApic(off, x2apic, narrow(200), on)).toEqual(pending);
  });
});

describe('initializedLapic', () => {
  const tmrGone = Array.from({ length: 8 }, (_, word): [number, number] => [APIC_TMR + 0x10 * word, 0]);

  it.each([
    ['x2apic', [[spiv, 0xff]]],
    ['xapic', [[spiv, 0xff]]],
    ['software-disabled', []],
  ] as [VcpuSetup['apic'], [number, number][]][])('should clear TMR and disable an APIC that was %s', (apic, words) => {
    const setup = vcpu({ apic, irr: [0x20], isr: [0x41], tpr: 3 });
    expect(initializedLapic(setup)).toEqual(new Map([...tmrGone, ...words]));
  });
});
