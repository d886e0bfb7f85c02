/** A disassembler that knows nothing of our assembler. */
import { Decoder, DecoderOptions, Formatter, FormatterSyntax } from 'iced-x86';

/** One line per instruction of code at `origin`, in 64-, 32- or 16-bit mode. */
export function disassemble(code: Buffer, origin: number, bitness: 64 | 32 | 16 = 64): string[] {
  const decoder = new Decoder(bitness, code, DecoderOptions.None);
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
