/** Mutants that read the call wrongly: control word, vector, registers, memory, format. */
import { isIpiEx, namesAll, xmmBankCount } from '../../oracle/call/decode.ts';
import { acceptVector } from '../../oracle/state/machine.ts';
import { arenaStart } from '../case/memory.ts';
import { registerOffset } from '../program/program.ts';
import * as parts from './mutant-parts.ts';

const banks = (count: number): number[] => Array.from({ length: count }, (_, bank) => bank);

export const inputMutants: readonly parts.Mutant[] = [
  {
    name: 'vector-low-bound',
    description: 'accepts vector 0x0f',
    minimal: parts.alone(0, parts.sendIpi({ vector: 0x0f })),
    createParts: () => parts.withRule('bad-vector', { applies: ({ vector }) => vector < 0x0f || vector > 0xff }),
  },
  {
    name: 'vector-low-bound-strict',
    description: 'refuses vector 0x10',
    minimal: parts.alone(0, parts.sendIpi({ vector: 0x10 })),
    createParts: () => parts.withRule('bad-vector', { applies: ({ vector }) => vector <= 0x10 || vector > 0xff }),
  },
  {
    name: 'vector-high-bound',
    description: 'accepts vector 0x100 and delivers its low byte',
    minimal: parts.alone(0, parts.sendIpi({ vector: 0x100 })),
    createParts: () => ({
      ...parts.withRule('bad-vector', { applies: ({ vector }) => vector < 0x10 || vector > 0x100 }),
      accept: (lapic, vector) => acceptVector(lapic, vector & 0xff),
    }),
  },
  {
    name: 'ignores-variable-header',
    description: 'takes the number of banks from the valid bank mask alone',
    minimal: parts.alone(0, parts.sendIpiEx({ variableHeader: 1 })),
    createParts: () =>
      parts.withRegisters((registers, call) => {
        if (!isIpiEx(call)) return;
        const low = registers.readUInt32LE(registerOffset.rcx) & ~(0x3ff << 17);
        registers.writeUInt32LE((low | (call.maskCount << 17)) >>> 0, registerOffset.rcx);
      }),
  },
  {
    name: 'variable-header-on-fixed-call',
    description: 'does not refuse a variable header of 0x000b',
    minimal: parts.alone(0, parts.sendIpi({ variableHeader: 1 })),
    createParts: () => parts.withoutRule('variable-header-on-fixed-call'),
  },
  {
    name: 'ignores-rep-count',
    description: 'looks at the rep start index, not at the rep count',
    minimal: parts.alone(0, parts.sendIpi({ repCount: 1 })),
    createParts: () => parts.withRule('rep-on-simple-call', { applies: ({ repStart }) => repStart !== 0 }),
  },
  {
    name: 'ignores-rep-start',
    description: 'looks at the rep count, not at the rep start index',
    minimal: parts.alone(0, parts.sendIpi({ repStart: 1 })),
    createParts: () => parts.withRule('rep-on-simple-call', { applies: ({ repCount }) => repCount !== 0 }),
  },
  {
    name: 'ignores-reserved-bit-63',
    description: 'does not count bit 63 of the control word among the reserved ones',
    minimal: parts.alone(0, parts.sendIpi({ controlBits: [63] })),
    createParts: () =>
      parts.withDecoded(({ reserved }) => ({ reserved: { ...reserved, high: reserved.high & 0x7fff_ffff } })),
  },
  {
    name: 'faults-on-reserved-bits',
    description: 'raises #UD where status 3 is due',
    minimal: parts.alone(0, parts.sendIpi({ controlBits: [63] })),
    observe: parts.changeSteps((step, rule) =>
      rule === 'reserved-control-bits' ? { ...step, result: null, exception: { vector: 6, ripOffset: 0 } } : step,
    ),
  },
  {
    name: 'xmm-half-swapped',
    description: 'reads the high half of an XMM register before the low one',
    minimal: parts.alone(1, parts.sendIpiEx({ fast: true, targets: [1] })),
    createParts: () => parts.withRegisters((registers) => parts.swapXmmHalves(registers)),
  },
  {
    name: 'xmm-limit-10',
    description: 'refuses the eleventh bank of a fast call (as before 7321f47eada5, at another limit)',
    minimal: parts.alone(0, parts.sendIpiEx({ fast: true, emptyBanks: banks(xmmBankCount) })),
    createParts: () =>
      parts.withRule('too-many-fast-banks', {
        applies: (call) => isIpiEx(call) && !namesAll(call) && call.isFast && call.variableHeader > xmmBankCount - 1,
      }),
  },
  {
    name: 'reads-banks-of-all',
    description: 'limits the banks of a fast call to all VPs although they mean nothing',
    minimal: parts.alone(0, parts.sendIpiEx({ fast: true, format: 1n, emptyBanks: banks(xmmBankCount + 1) })),
    createParts: () =>
      parts.withRule('too-many-fast-banks', {
        applies: (call) => isIpiEx(call) && call.isFast && call.variableHeader > xmmBankCount,
      }),
  },
  {
    name: 'all-needs-banks',
    description: 'delivers to nobody when a call to all VPs gives no bank (as before 3244867af8c0)',
    minimal: parts.alone(0, parts.sendIpiEx({ format: 1n })),
    createParts: () =>
      parts.withRule('empty-sparse-set', { applies: (call) => isIpiEx(call) && call.variableHeader === 0 }),
  },
  {
    name: 'unknown-format-is-all',
    description: 'takes every format but 0 for all VPs',
    minimal: parts.alone(0, parts.sendIpiEx({ format: 2n })),
    createParts: () =>
      parts.withDecoded(({ format }) => ({ format: { low: format.low !== 0 || format.high !== 0 ? 1 : 0, high: 0 } })),
  },
  {
    name: 'empty-set-checks-vector',
    description: 'looks at the vector before it finds that the set is empty',
    minimal: parts.alone(0, parts.sendIpiEx({ vector: 0x0f })),
    createParts: () => parts.withoutRule('empty-sparse-set'),
  },
  {
    name: 'refuses-padding',
    description: 'refuses a slow call whose padding or VTL is not 0',
    minimal: parts.alone(0, parts.sendIpi({ padding: 1 })),
    createParts: () => parts.withRule('fast-reserved-bits', { applies: ({ afterVector }) => afterVector !== 0 }),
  },
  {
    name: 'aligns-input-address',
    description: 'ignores bits 2:0 of the input address',
    minimal: parts.alone(0, parts.sendIpi({ gpa: arenaStart + 1n })),
    createParts: () =>
      parts.withRegisters((registers, { isFast }) => {
        if (!isFast) registers[registerOffset.rdx]! &= ~7;
      }),
  },
];
