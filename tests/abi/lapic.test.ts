/** The LAPIC page and its MSRs in literal numbers from the Intel SDM, volume 3. */
import { describe, expect, it } from 'vitest';
import * as lapic from '../../src/abi/lapic.ts';

describe('offsets', () => {
  it('should be those of the register address map', () => {
    const { APIC_ID, APIC_TASKPRI, APIC_PROCPRI, APIC_SPIV, APIC_ISR, APIC_TMR, APIC_IRR } = lapic;
    expect([APIC_ID, APIC_TASKPRI, APIC_PROCPRI]).toEqual([0x20, 0x80, 0xa0]);
    expect([APIC_SPIV, APIC_ISR, APIC_TMR, APIC_IRR]).toEqual([0xf0, 0x100, 0x180, 0x200]);
    expect(lapic.lapicPageBytes).toBe(1024);
    expect(lapic.APIC_SPIV_APIC_ENABLED).toBe(0x100);
  });
});

describe('MSRs', () => {
  it('should be those of IA32_APIC_BASE and of the x2APIC', () => {
    expect(lapic.MSR_IA32_APICBASE).toBe(0x1b);
    expect(lapic.MSR_IA32_APICBASE_BSP).toBe(0x100n);
    expect(lapic.X2APIC_ENABLE).toBe(0x400n);
    expect(lapic.MSR_IA32_APICBASE_ENABLE).toBe(0x800n);
    expect(lapic.APIC_DEFAULT_PHYS_BASE).toBe(0xfee00000n);
    expect(lapic.X2APIC_MSR_EOI).toBe(0x80b);
  });
});

describe('vectorBit', () => {
  it.each([
    [0x10, 0x200, 0x0001_0000],
    [0x1f, 0x200, 0x8000_0000],
    [0x20, 0x210, 0x0000_0001],
    [0xfe, 0x270, 0x4000_0000],
    [0xff, 0x270, 0x8000_0000],
  ])('should find vector 0x%s in the IRR', (vector, offset, mask) => {
    expect(lapic.vectorBit(lapic.APIC_IRR, vector)).toEqual({ offset, mask });
  });
});

describe('lapicRegisterName', () => {
  it.each([
    [0x20, 'ID'],
    [0x80, 'TPR'],
    [0xa0, 'PPR'],
    [0xf0, 'SPIV'],
    [0x100, 'ISR[0x0..0x1f]'],
    [0x170, 'ISR[0xe0..0xff]'],
    [0x180, 'TMR[0x0..0x1f]'],
    [0x200, 'IRR[0x0..0x1f]'],
    [0x270, 'IRR[0xe0..0xff]'],
    [0x280, 'ESR'],
    [0x3f0, 'register 0x3f0'],
  ])('should name offset %i', (offset, name) => {
    expect(lapic.lapicRegisterName(offset)).toBe(name);
  });
});
