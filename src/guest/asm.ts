/**
 * An assembler for the few 64-bit instructions that the guest program uses: a method per instruction, named after its
 * mnemonic. Encodings: Intel SDM volume 2. Tests decode every program with an independent disassembler.
 */

const registers = [
  'rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi',
  'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15',
] as const; // prettier-ignore
export type Register = (typeof registers)[number];

/** A memory operand: `[base+offset]`, relative to GS or not; without a base, an address relative to GS. */
export interface Operand {
  readonly isGs: boolean;
  readonly base: 'rsp' | 'rax' | 'rcx' | null;
  readonly offset: number;
}

export const gs = (offset: number): Operand => ({ isGs: true, base: null, offset });
export const gsAtRax = (offset: number): Operand => ({ isGs: true, base: 'rax', offset });
export const gsAtRcx = (offset: number): Operand => ({ isGs: true, base: 'rcx', offset });
export const absolute = (address: number): Operand => ({ isGs: false, base: null, offset: address });
export const at = (base: 'rsp' | 'rax' | 'rcx', offset: number): Operand => ({ isGs: false, base, offset });

const REX_W = 0x48;
const REX_R = 0x04;

/** Code that grows from `origin`; labels may be used before they are placed. */
export class Assembler {
  readonly #origin: number;
  readonly #bytes: number[] = [];
  readonly #labels = new Map<string, number>();
  readonly #fixups: { at: number; label: string }[] = [];

  constructor(origin: number) {
    this.#origin = origin;
  }

  /** Places a label here. */
  label(name: string): this {
    if (this.#labels.has(name)) throw new Error(`label ${name} stands twice`);
    this.#labels.set(name, this.#bytes.length);
    return this;
  }

  /** Address of a label that has been placed. */
  addressOf(name: string): number {
    const offset = this.#labels.get(name);
    if (offset === undefined) throw new Error(`no label ${name}`);
    return this.#origin + offset;
  }

  /** The finished code. */
  assemble(): Buffer {
    const code = Buffer.from(this.#bytes);
    for (const { at: place, label } of this.#fixups) {
      code.writeInt32LE(this.addressOf(label) - (this.#origin + place + 4), place);
    }
    return code;
  }

  /** `mov register, memory`, 64 bits. */
  load(register: Register, operand: Operand): this {
    return this.#withOperand(REX_W, [0x8b], register, operand);
  }

  /** `mov memory, register`, 64 bits. */
  store(operand: Operand, register: Register): this {
    return this.#withOperand(REX_W, [0x89], register, operand);
  }

  /** `mov byte memory, cl`. */
  storeCl(operand: Operand): this {
    return this.#withOperand(0, [0x88], 'rcx', operand);
  }

  /** `mov byte memory, al`. */
  storeAl(operand: Operand): this {
    return this.#withOperand(0, [0x88], 'rax', operand);
  }

  /** `mov dword memory, register32`. */
  store32(operand: Operand, register: 'rax' | 'rcx' | 'rdx'): this {
    return this.#withOperand(0, [0x89], register, operand);
  }

  /** `mov eax, memory`. */
  loadEax(operand: Operand): this {
    return this.#withOperand(0, [0x8b], 'rax', operand);
  }

  /** `btr dword memory, bit`: the bit goes to CF and is cleared. */
  testAndClear(operand: Operand, bit: number): this {
    return this.#withOperand(0, [0x0f, 0xba], 'rsi', operand).#emit(bit);
  }

  /** `mov qword memory, immediate`, sign-extended from 32 bits. */
  storeImmediate(operand: Operand, value: number): this {
    return this.#withOperand(REX_W, [0xc7], 'rax', operand).#dword(value);
  }

  /** `mov register32, immediate`: clears the upper half. */
  moveImmediate(register: 'rax' | 'rcx', value: number): this {
    return this.#emit(0xb8 + registers.indexOf(register)).#dword(value);
  }

  /** `cmp register, memory`. */
  compare(register: Register, operand: Operand): this {
    return this.#withOperand(REX_W, [0x3b], register, operand);
  }

  /** `cmp rax, immediate`. */
  compareRax(value: number): this {
    return this.#emit(REX_W, 0x3d).#dword(value);
  }

  /** `cmp qword memory, immediate` of 8 bits. */
  compareImmediate(operand: Operand, value: number): this {
    return this.#withOperand(REX_W, [0x83], 'rdi', operand).#emit(value);
  }

  /** `add qword memory, immediate`. */
  addImmediate(operand: Operand, value: number): this {
    return this.#withOperand(REX_W, [0x81], 'rax', operand).#dword(value);
  }

  /** `inc qword memory`. */
  increment(operand: Operand): this {
    return this.#withOperand(REX_W, [0xff], 'rax', operand);
  }

  /** `lock inc qword memory`. */
  lockIncrement(operand: Operand): this {
    return this.#emit(0xf0).#withOperand(REX_W, [0xff], 'rax', operand);
  }

  /** `dec rcx`. */
  decrementRcx(): this {
    return this.#emit(REX_W, 0xff, 0xc9);
  }

  /** `mov cr8, rax`. */
  moveRaxToCr8(): this {
    return this.#emit(REX_R | 0x40, 0x0f, 0x22, 0xc0);
  }

  /** `lea register, memory`. */
  loadAddress(register: Register, operand: Operand): this {
    return this.#withOperand(REX_W, [0x8d], register, operand);
  }

  /** `int vector`. */
  interrupt(vector: number): this {
    return this.#emit(0xcd, vector);
  }

  /** `add rsp, immediate` of 8 bits. */
  addRsp(value: number): this {
    return this.#emit(REX_W, 0x83, 0xc4, value);
  }

  /** `add rax, immediate`. */
  addRax(value: number): this {
    return this.#emit(REX_W, 0x05).#dword(value);
  }

  /** `test rcx, rcx`. */
  testRcx(): this {
    return this.#emit(REX_W, 0x85, 0xc9);
  }

  /** `and eax, immediate`. */
  andEax(value: number): this {
    return this.#emit(0x25).#dword(value);
  }

  /** `xor register32, register32` of the same register. */
  clear(register: 'rax' | 'rdx'): this {
    const number = registers.indexOf(register);
    return this.#emit(0x31, 0xc0 | (number << 3) | number);
  }

  /** `movups xmm, memory`. */
  loadXmm(xmm: number, operand: Operand): this {
    return this.#withOperand(0, [0x0f, 0x10], registers[xmm]!, operand);
  }

  /** `movups memory, xmm`. */
  storeXmm(operand: Operand, xmm: number): this {
    return this.#withOperand(0, [0x0f, 0x11], registers[xmm]!, operand);
  }

  push(register: 'rax' | 'rcx' | 'rdx'): this {
    return this.#emit(0x50 + registers.indexOf(register));
  }

  pop(register: 'rax' | 'rcx' | 'rdx'): this {
    return this.#emit(0x58 + registers.indexOf(register));
  }

  /** `push immediate`, sign-extended from 32 bits. */
  pushImmediate(value: number): this {
    return this.#emit(0x68).#dword(value);
  }

  /** `out port, al`. */
  out(port: number): this {
    return this.#emit(0xe6, port);
  }

  jump(label: string): this {
    return this.#emit(0xe9).#relative(label);
  }

  jumpIfEqual(label: string): this {
    return this.#emit(0x0f, 0x84).#relative(label);
  }

  jumpIfNotEqual(label: string): this {
    return this.#emit(0x0f, 0x85).#relative(label);
  }

  jumpIfAboveOrEqual(label: string): this {
    return this.#emit(0x0f, 0x83).#relative(label);
  }

  jumpIfSign(label: string): this {
    return this.#emit(0x0f, 0x88).#relative(label);
  }

  jumpIfCarry(label: string): this {
    return this.#emit(0x0f, 0x82).#relative(label);
  }

  /** Jumps to an address outside of this code. */
  jumpTo(address: number): this {
    const next = this.#origin + this.#bytes.length + 5;
    return this.#emit(0xe9).#dword(address - next);
  }

  /** Fills up with `int3` to a multiple of `bytes`. */
  align(bytes: number): this {
    while (this.#bytes.length % bytes !== 0) this.#emit(0xcc);
    return this;
  }

  iretq = (): this => this.#emit(REX_W, 0xcf);
  sti = (): this => this.#emit(0xfb);
  cli = (): this => this.#emit(0xfa);
  hlt = (): this => this.#emit(0xf4);
  nop = (): this => this.#emit(0x90);
  rdmsr = (): this => this.#emit(0x0f, 0x32);
  /** `mov cr8, rax`. */
  moveToCr8 = (): this => this.#emit(0x44, 0x0f, 0x22, 0xc0);
  wrmsr = (): this => this.#emit(0x0f, 0x30);
  vmcall = (): this => this.#emit(0x0f, 0x01, 0xc1);
  vmmcall = (): this => this.#emit(0x0f, 0x01, 0xd9);

  #emit(...bytes: number[]): this {
    this.#bytes.push(...bytes.map((byte) => byte & 0xff));
    return this;
  }

  #dword(value: number): this {
    return this.#emit(value, value >> 8, value >> 16, value >> 24);
  }

  #relative(label: string): this {
    this.#fixups.push({ at: this.#bytes.length, label });
    return this.#dword(0);
  }

  #withOperand(rexBits: number, opcode: number[], register: Register, operand: Operand): this {
    const number = registers.indexOf(register);
    const rex = rexBits | (number >= 8 ? 0x40 | REX_R : 0);
    const field = (number & 7) << 3;
    this.#emit(...(operand.isGs ? [0x65] : []), ...(rex === 0 ? [] : [rex]), ...opcode);
    // Without a base: ModRM mod 00, rm 100 and SIB 0x25 are an absolute 32-bit address. RSP as base needs a SIB too.
    if (operand.base === null) this.#emit(0x04 | field, 0x25);
    else this.#emit(0x80 | field | registers.indexOf(operand.base), ...(operand.base === 'rsp' ? [0x24] : []));
    return this.#dword(operand.offset);
  }
}
