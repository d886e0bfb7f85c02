import { describe, expect, it } from 'vitest';
import { makeVcpu, type VcpuSetup } from '../../../src/case/case.ts';
import * as map from '../../../src/guest/memory-map.ts';
import { assembleGuest, eoiMsr } from '../../../src/guest/program.ts';
import { disassemble } from './disassemble.ts';

describe('assembleGuest', () => {
  it('should assemble the program that an independent disassembler reads as this listing', () => {
    const { code } = assembleGuest('vmmcall');

    expect(disassemble(code, map.shared.code).join('\n')).toMatchSnapshot();
  });

  it('should put the entry behind the idle exit and the hypercall where it says', () => {
    const { code, entry, hypercall } = assembleGuest('vmmcall');
    const lines = disassemble(code, map.shared.code);

    expect(lines[0]).toBe('7000  out 10h,al');
    expect(entry).toBe(0x7002);
    expect(lines.find((line) => line.startsWith(hypercall.toString(16)))).toContain('vmmcall');
  });

  it('should use the instruction of the vendor', () => {
    const { code, hypercall } = assembleGuest('vmcall');

    expect([...code.subarray(hypercall - map.shared.code, hypercall - map.shared.code + 3)]).toEqual([
      0x0f, 0x01, 0xc1,
    ]);
  });

  it('should give every vector a stub of 16 bytes that fits', () => {
    const { stubs } = assembleGuest('vmmcall');

    expect(stubs.length).toBe(256 * map.stubBytes);
    const stubOf = (vector: number) =>
      disassemble(stubs.subarray(vector * 16, vector * 16 + 16), map.shared.stubs + vector * 16).map((line) =>
        line.replace(/^\S+ {2}/, ''),
      );
    expect(stubOf(0xfe).slice(0, 1)).toEqual(['push 0FEh']);
    expect(stubOf(6).slice(0, 2)).toEqual(['push 0', 'push 6']);
    expect(stubOf(13).slice(0, 1)).toEqual(['push 0Dh']);
    expect(stubOf(2)[0]).toMatch(/^jmp/);
  });

  it('should fit into its page', () => {
    expect(assembleGuest('vmmcall').code.length).toBeLessThanOrEqual(map.shared.stubs - map.shared.code);
  });
});

describe('eoiMsr', () => {
  it.each<[number, string, Partial<VcpuSetup>]>([
    [0x4000_0070, 'by the Hyper-V MSR', { eoi: 'hv-msr', apic: 'xapic' }],
    [0x80b, 'by the x2APIC', { eoi: 'apic', apic: 'x2apic' }],
    [0, 'by the page of an xAPIC', { eoi: 'apic', apic: 'xapic' }],
    [0, 'by the page of an xAPIC that is disabled', { eoi: 'apic', apic: 'software-disabled' }],
    [0x80b, 'by the x2APIC where CPUID has no Hyper-V', { eoi: 'hv-msr', apic: 'x2apic', lacks: ['hyperv'] }],
    [0x4000_0070, 'by the Hyper-V MSR where CPUID lacks something else', { eoi: 'hv-msr', lacks: ['ex-masks'] }],
  ])('should be 0x%x %s', (msr, _, vcpu) => {
    expect(eoiMsr(makeVcpu(vcpu))).toBe(msr);
  });
});

describe('memory map', () => {
  it('should give the places that saved cases and the executor rely on', () => {
    expect(map.vcpuArea(0)).toBe(0x20000);
    expect(map.vcpuArea(7) + map.area.interruptStackTop).toBeLessThanOrEqual(0xe0000);
    expect(map.ringEntries).toBe(64);
    expect(map.area.assist - map.area.ring).toBe(64 * 5 * 128);
    expect(map.entryStack).toEqual({ start: 0xc000, top: 0xd000 });
    const [ram, rom] = [
      { gpa: 0n, bytes: 0x100000, readOnly: false, offset: 0 },
      { gpa: 0x200000n, bytes: 0x2000, readOnly: true, offset: 0x100000 },
    ];
    expect(map.memslotsOf(8)).toEqual([ram, rom]);
    const upper = { gpa: 0x2_c000_0000n, bytes: 0x200000, readOnly: false, offset: 0x200000 };
    expect(map.memslotsOf(9)).toEqual([ram, rom, upper]);
    expect(map.memslotsOf(1024)).toEqual([ram, rom, { ...upper, bytes: 0x6000000 }]);
    expect([7, 8, 9, 1023].map(map.vcpuArea)).toEqual([0xc8000, 0x200000, 0x218000, 0x200000 + 1015 * 0x18000]);
    expect(map.quietRanges).toEqual([
      { start: 0, end: 0xc000 },
      { start: 0xe0000, end: 0x102000 },
    ]);
  });

  it('should have the areas of vCPUs that are many in the upper memslot', () => {
    expect(map.gpaOf(map.vcpuArea(9))).toBe(0x2_c001_8000n);
  });

  it.each<[bigint, number]>([
    [0n, 0],
    [0xe0000n, 0xe0000],
    [0xfffffn, 0xfffff],
    [0x200000n, 0x100000],
    [0x201fffn, 0x101fff],
  ])('should have %i at offset %i of the mapping, and the other way round', (gpa, offset) => {
    expect(map.hostOffset(gpa)).toBe(offset);
    expect(map.gpaOf(offset)).toBe(gpa);
  });
});
