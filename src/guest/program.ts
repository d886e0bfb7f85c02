/**
 * What runs inside the VM. Every vCPU runs the same program: it waits for a command, and either issues the calls of
 * its input ring, opens its interrupt window, or halts with interrupts on.
 *
 * All registers are loaded before a call and stored after it; the pushed RIP of an exception is kept. That a call
 * returns behind its 3-byte instruction needs no check: the next instruction is the first of the store sequence.
 */
import { HV_X64_MSR_EOI } from '../abi/hyperv.ts';
import { APIC_DEFAULT_PHYS_BASE, X2APIC_MSR_EOI } from '../abi/lapic.ts';
import type { VcpuSetup } from '../case/case.ts';
import { callRegisterBytes, registerOffset } from '../case/program.ts';
import { Assembler, at, gs, gsAtRax } from './asm.ts';
import * as map from './memory-map.ts';
import { area } from './memory-map.ts';

/** Which instruction a hypercall is: the one of the CPU's vendor (semantics.md 1.10, trap 3). */
export type HypercallInstruction = 'vmcall' | 'vmmcall';

/** The code page and the addresses in it that the host needs. */
export interface GuestCode {
  /** The native hypercall instruction. */
  readonly instruction: HypercallInstruction;
  readonly code: Buffer;
  readonly stubs: Buffer;
  /** Where a vCPU starts. */
  readonly entry: number;
  /** The hypercall instruction. */
  readonly hypercall: number;
}

const xapicEoi = Number(APIC_DEFAULT_PHYS_BASE) + 0xb0;
const RFLAGS_RF = 0x10000;
/** Exceptions that push an error code (Intel SDM volume 3, table 6-1), below the vectors that IPIs may have. */
export const withErrorCode: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14]);
const NMI = 2;
/** Vectors below this are exceptions here; the hypercalls refuse them. */
const interruptVectorMin = 0x10;

export function assembleGuest(instruction: HypercallInstruction): GuestCode {
  const code = new Assembler(map.shared.code);
  emitCommands(code);
  emitCalls(code, instruction);
  emitStoreRegisters(code);
  emitWindow(code);
  emitHandlers(code);
  return {
    instruction,
    code: code.assemble(),
    stubs: assembleStubs(code),
    entry: code.addressOf('dispatch'),
    hypercall: code.addressOf('hypercall'),
  };
}

/** The EOI register that a vCPU's handlers write: an MSR, or 0 for the xAPIC's page. Without Hyper-V it is the APIC's. */
export function eoiMsr({ eoi, lacks, apic }: VcpuSetup): number {
  if (eoi === 'hv-msr' && !lacks.includes('hyperv')) return HV_X64_MSR_EOI;
  return apic === 'x2apic' ? X2APIC_MSR_EOI : 0;
}

function emitCommands(code: Assembler): void {
  code.label('idle').out(map.ports.idle);
  code.label('dispatch').load('rax', gs(area.command));
  code.compareRax(Number(map.commands.calls)).jumpIfEqual('calls');
  code.compareRax(Number(map.commands.window)).jumpIfEqual('window');
  code.compareRax(Number(map.commands.halt)).jumpIfEqual('halt');
  code.jump('idle');
}

function emitCalls(code: Assembler, instruction: HypercallInstruction): void {
  code.label('calls').load('rax', gs(area.cursor)).compare('rax', gs(area.end)).jumpIfEqual('idle');
  code.storeImmediate(gs(area.exception), 0);
  code.load('rsp', gs(area.flagsBeforeAddress)).popfq().load('rsp', gs(area.cursor));
  map.quietRegisters.forEach((register, index) => code.load(register, gs(area.registersBefore + 8 * index)));
  for (let xmm = map.quietXmm.first; xmm <= map.quietXmm.last; xmm++) code.loadXmm(xmm, gs(quietXmmBefore(xmm)));
  code.load('rcx', at('rsp', registerOffset.rcx)).load('rdx', at('rsp', registerOffset.rdx));
  code.load('r8', at('rsp', registerOffset.r8));
  for (let xmm = 0; xmm < map.quietXmm.first; xmm++) code.loadXmm(xmm, at('rsp', registerOffset.xmm + 16 * xmm));
  code.load('rax', at('rsp', registerOffset.rax));
  code.label('hypercall')[instruction]();
}

/** Offset of XMM6..XMM15 in a vCPU's area. */
export function quietXmmBefore(xmm: number): number {
  return area.xmmBefore + 16 * (xmm - map.quietXmm.first);
}

function emitStoreRegisters(code: Assembler): void {
  const delta = (ring: number) => ring - area.input;
  code.store(gs(area.savedRsp), 'rsp');
  code.load('rsp', gs(area.flagsStackTopAddress)).pushfq();
  code.label('store').load('rsp', gs(area.cursor));
  const output = delta(area.output);
  code.store(at('rsp', output + registerOffset.rcx), 'rcx').store(at('rsp', output + registerOffset.rdx), 'rdx');
  code.store(at('rsp', output + registerOffset.r8), 'r8');
  for (let xmm = 0; xmm < map.quietXmm.first; xmm++) {
    code.storeXmm(at('rsp', output + registerOffset.xmm + 16 * xmm), xmm);
  }
  const quiet = delta(area.outputRegisters);
  map.quietRegisters.forEach((register, index) => code.store(at('rsp', quiet + 8 * index), register));
  code
    .storeXmm(at('rsp', quiet + map.outputHighXmmOffset), 14)
    .storeXmm(at('rsp', quiet + map.outputHighXmmOffset + 16), 15);
  for (let xmm = map.quietXmm.first; xmm <= map.quietXmm.lastInOutputXmm; xmm++) {
    code.storeXmm(at('rsp', delta(area.outputXmm) + 16 * (xmm - map.quietXmm.first)), xmm);
  }
  const results = delta(area.results);
  code.store(at('rsp', results + map.resultEntry.rax), 'rax');
  for (const [from, to] of [
    [area.flagsStack, quiet + map.outputFlagsOffset],
    [area.savedRsp, results + map.resultEntry.rsp],
    [area.exception, results + map.resultEntry.exception],
    [area.exceptionRip, results + map.resultEntry.exceptionRip],
  ] as const) {
    code.load('rax', gs(from)).store(at('rsp', to), 'rax');
  }
  // RAX is the result; its place in the output ring gets what was there, so that whole rings can be compared.
  code.load('rax', at('rsp', registerOffset.rax)).store(at('rsp', output + registerOffset.rax), 'rax');
  code.addImmediate(gs(area.cursor), callRegisterBytes).jump('calls');
}

function emitWindow(code: Assembler): void {
  // Whatever is pending and not blocked by PPR is taken before `cli` retires: the architecture recognises interrupts
  // at the first instruction boundary behind the shadow of `sti`, and every handler's `iretq` is such a boundary.
  code.label('window').sti().nop().nop().cli().jump('idle');
  code.label('halt').storeImmediate(gs(area.halting), 1).sti().hlt().cli();
  // An interrupt that became pending between `cli` and the NMI is taken in the window on the way out.
  code.compareImmediate(gs(area.stop), 0).jumpIfNotEqual('window').jump('halt');
}

function emitHandlers(code: Assembler): void {
  // Stack: vector, (error code or 0), RIP, CS, RFLAGS, RSP, SS.
  code.label('exception').store(gs(area.savedRax), 'rax');
  code.load('rax', at('rsp', 0)).addRax(1).store(gs(area.exception), 'rax');
  code.load('rax', at('rsp', 16)).store(gs(area.exceptionRip), 'rax');
  code.load('rax', at('rsp', 32)).andEax(~RFLAGS_RF).store(gs(area.flagsStack), 'rax');
  code.load('rax', at('rsp', 40)).store(gs(area.savedRsp), 'rax');
  code.load('rax', gs(area.savedRax)).jump('store');

  code.label('nmi').storeImmediate(gs(area.stop), 1).iretq();

  // Stack: RDX, RCX, RAX, vector, RIP, ...
  code.label('interrupt').push('rax').push('rcx').push('rdx');
  code.load('rax', gs(area.logLength)).compareRax(map.logBytesMax).jumpIfAboveOrEqual('log full');
  code.load('rcx', at('rsp', 24)).storeCl(gsAtRax(area.log)).increment(gs(area.logLength));
  code.load('rcx', gs(area.eoiMsr)).clear('rax').clear('rdx').testRcx().jumpIfEqual('xapic eoi');
  code.wrmsr().label('interrupt return').pop('rdx').pop('rcx').pop('rax').addRsp(8).iretq();
  code.label('xapic eoi').moveImmediate('rax', xapicEoi).storeEcx(at('rax', 0)).jump('interrupt return');
  code.label('log full').out(map.ports.logFull).jump('log full');
}

function assembleStubs(code: Assembler): Buffer {
  const stubs = new Assembler(map.shared.stubs);
  for (let vector = 0; vector < 256; vector++) {
    if (vector === NMI) stubs.jumpTo(code.addressOf('nmi'));
    else if (vector >= interruptVectorMin) stubs.pushImmediate(vector).jumpTo(code.addressOf('interrupt'));
    else {
      if (!withErrorCode.has(vector)) stubs.pushImmediate(0);
      stubs.pushImmediate(vector).jumpTo(code.addressOf('exception'));
    }
    stubs.align(map.stubBytes);
  }
  return stubs.assemble();
}
