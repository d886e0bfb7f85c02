import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from 'iced-x86';
import { describe, expect, it } from 'vitest';
import * as map from '../../../src/guest/memory-map.ts';
import { assembleGuest, eoiMsr } from '../../../src/guest/program.ts';

/** One line per instruction, by a disassembler that knows nothing of our assembler. */
function disassemble(code: Buffer, origin: number): string[] {
  const decoder = new Decoder(64, code, DecoderOptions.None);
  decoder.ip = BigInt(origin);
  const formatter = new Formatter(FormatterSyntax.Intel);
  const lines: string[] = [];
  while (decoder.canDecode) {
    const instruction = decoder.decode();
    lines.push(`${instruction.ip.toString(16)}  ${formatter.format(instruction)}`);
    instruction.free();
  }
  return lines;
}

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
  it('should be 0x40000070, 0x80b, or none for the page of an xAPIC', () => {
    expect(eoiMsr('hv-msr', false)).toBe(0x4000_0070);
    expect(eoiMsr('apic', true)).toBe(0x80b);
    expect(eoiMsr('apic', false)).toBe(0);
  });
});

describe('memory map', () => {
  it('should give the places that saved cases and the executor rely on', () => {
    expect(map.vcpuArea(0)).toBe(0x20000);
    expect(map.vcpuArea(7) + map.area.areaEnd).toBeLessThanOrEqual(0xe0000);
    expect(map.ringEntries).toBe(64);
    expect(map.area.areaEnd - map.area.input).toBe(5 * 64 * 128);
  });
});
