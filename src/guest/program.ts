/**
 * The guest program, the same for every vCPU. It waits for a command; then it issues the calls of its input ring,
 * opens its interrupt window, acts as a receiver, or halts with interrupts on. A handler that is held open waits for
 * commands too, so a vCPU can do in a handler all that it can do outside.
 *
 * All registers are loaded before a call and stored after it. An `iretq` takes the caller to its mode, CPL and
 * instruction. An `int` behind the call brings it back as an exception would, through the pushed frame.
 */
import { HV_X64_MSR_EOI } from '../abi/hyperv.ts';
import { APIC_DEFAULT_PHYS_BASE, APIC_EOI, APIC_PROCPRI, X2APIC_MSR_EOI, x2apicMsr } from '../abi/lapic.ts';
import type { VcpuSetup } from '../case/case.ts';
import { registerOffset } from '../program/program.ts';
import { absolute, Assembler, at, gs, gsAtRax, gsAtRcx } from './asm.ts';
import * as map from './memory-map.ts';
import { area } from './memory-map.ts';

/** Which instruction a hypercall is: the one of the CPU's vendor (docs/semantics.md 1.10, trap 3). */
export type HypercallInstruction = 'vmcall' | 'vmmcall';

/** The code page and the addresses in it that the host needs. */
export interface GuestCode {
  /** The native hypercall instruction. */
  readonly instruction: HypercallInstruction;
  /** Whether that is Intel's. */
  readonly isVmx: boolean;
  readonly code: Buffer;
  readonly stubs: Buffer;
  /** Where a vCPU starts, and the `out` right in front of it. */
  readonly entry: number;
  readonly idle: number;
  /** The hypercall instruction, and the `int` behind it. */
  readonly hypercall: number;
  readonly behind: number;
  /** Where that leads to. */
  readonly returnHandler: number;
  /** `nop; cli` with which an interrupt window ends: where a vCPU waits in an interrupt shadow. */
  readonly closing: number;
}

const xapicRegister = (offset: number): number => Number(APIC_DEFAULT_PHYS_BASE) + offset;
const RFLAGS_RF = 0x10000;
/** Exceptions that push an error code (Intel SDM volume 3, table 6-1), below the vectors that IPIs may have. */
export const withErrorCode: ReadonlySet<number> = new Set([8, 10, 11, 12, 13, 14]);
export const NMI = 2;
/** Vectors below this are exceptions here; the hypercalls refuse them. */
const interruptVectorMin = 0x10;

export function assembleGuest(instruction: HypercallInstruction): GuestCode {
  const code = new Assembler(map.shared.code);
  emitCommands(code);
  emitCalls(code, instruction);
  emitStoreRegisters(code);
  emitWindow(code);
  emitActs(code);
  emitRace(code);
  emitHandlers(code);
  return {
    instruction,
    isVmx: instruction === 'vmcall',
    code: code.assemble(),
    stubs: assembleStubs(code),
    entry: code.addressOf('dispatch'),
    idle: code.addressOf('idle'),
    hypercall: code.addressOf('hypercall'),
    behind: code.addressOf('behind'),
    returnHandler: code.addressOf('return'),
    closing: code.addressOf('closing nop'),
  };
}

/** The value of `area.eoiMsr`. Without Hyper-V the handlers write the APIC's register. */
export function eoiMsr({ eoi, lacks, apic }: VcpuSetup): number {
  if (eoi === 'none') return -1;
  if (eoi !== 'apic' && !lacks.includes('hyperv')) return HV_X64_MSR_EOI;
  return apic === 'x2apic' ? X2APIC_MSR_EOI : 0;
}

/** The value of `area.pprMsr`. */
export function pprMsr({ logsPpr, apic }: VcpuSetup): number {
  if (!logsPpr) return 0;
  return apic === 'x2apic' ? x2apicMsr(APIC_PROCPRI) : -1;
}

function emitCommands(code: Assembler): void {
  code.label('idle').out(map.ports.idle);
  code.label('dispatch').load('rax', gs(area.command));
  for (const [name, command] of Object.entries(map.commands)) code.compareRax(command).jumpIfEqual(name);
  code.jump('idle');
}

/** How often a racing vCPU looks whether the others have come before it goes ahead without them: 1 to 2 ms under TCG. */
const looksMax = 200_000;

function emitCalls(code: Assembler, instruction: HypercallInstruction): void {
  const { input, frame } = map.ringEntry;
  const met = absolute(map.race.met);
  code.label('calls').load('rax', gs(area.cursor)).compare('rax', gs(area.end)).jumpIfEqual('calls done');
  const [meets, spins] = [at('rax', frame + map.frameEntry.meets), at('rax', frame + map.frameEntry.spins)];
  code.load('rcx', meets).testRcx().jumpIfEqual('met').lockIncrement(met).moveImmediate('rcx', looksMax);
  code.label('meet').load('rdx', met).compare('rdx', meets).jumpIfAboveOrEqual('met');
  code.decrementRcx().jumpIfNotEqual('meet');
  code.label('met').load('rcx', spins).testRcx().jumpIfEqual('next call');
  code.label('spin before call').decrementRcx().jumpIfNotEqual('spin before call').label('next call');
  code.load('rsp', gs(area.cursor));
  for (const [index, register] of map.quietRegisters.entries()) {
    if (!isGiven(register)) code.load(register, gs(area.registersBefore + 8 * index));
  }
  for (const name of map.givenRegisters) code.load(name, at('rsp', frame + map.frameEntry[name]));
  for (let xmm = map.quietXmm.first; xmm <= map.quietXmm.last; xmm++) code.loadXmm(xmm, gs(quietXmmBefore(xmm)));
  for (const name of ['rcx', 'rdx', 'r8'] as const) code.load(name, at('rsp', input + registerOffset[name]));
  for (let xmm = 0; xmm < map.quietXmm.first; xmm++) {
    code.loadXmm(xmm, at('rsp', input + registerOffset.xmm + 16 * xmm));
  }
  code
    .load('rax', at('rsp', input + registerOffset.rax))
    .loadAddress('rsp', at('rsp', frame))
    .iretq();
  code.label('hypercall')[instruction]().label('behind').interrupt(map.returnVector);
  // Whoever comes back to another place meets `int3`.
  code.align(16);
}

function isGiven(register: string): boolean {
  return map.givenRegisters.some((name) => name === register);
}

/** Offset of XMM6..XMM15 in a vCPU's area. */
export function quietXmmBefore(xmm: number): number {
  return area.xmmBefore + 16 * (xmm - map.quietXmm.first);
}

function emitStoreRegisters(code: Assembler): void {
  const { input, output, registers, xmm: quietXmm } = map.ringEntry;
  code.label('store').load('rsp', gs(area.cursor));
  for (const name of ['rcx', 'rdx', 'r8'] as const) code.store(at('rsp', output + registerOffset[name]), name);
  for (let xmm = 0; xmm < map.quietXmm.first; xmm++) {
    code.storeXmm(at('rsp', output + registerOffset.xmm + 16 * xmm), xmm);
  }
  map.quietRegisters.forEach((register, index) => code.store(at('rsp', registers + 8 * index), register));
  for (const [place, xmm] of [14, 15].entries()) {
    code.storeXmm(at('rsp', registers + map.outputHighXmmOffset + 16 * place), xmm);
  }
  for (let xmm = map.quietXmm.first; xmm <= map.quietXmm.lastInOutputXmm; xmm++) {
    code.storeXmm(at('rsp', quietXmm + 16 * (xmm - map.quietXmm.first)), xmm);
  }
  code.load('rcx', gs(area.resultCursor)).store(at('rcx', map.resultEntry.rax), 'rax');
  for (const [from, to] of [
    [area.savedRsp, map.resultEntry.rsp],
    [area.exception, map.resultEntry.exception],
    [area.exceptionRip, map.resultEntry.exceptionRip],
  ] as const) {
    code.load('rax', gs(from)).store(at('rcx', to), 'rax');
  }
  code.load('rax', gs(area.savedFlags)).store(at('rsp', registers + map.outputFlagsOffset), 'rax');
  // RAX is the result; its place in the output gets what was there, so that whole outputs can be compared.
  code.load('rax', at('rsp', input + registerOffset.rax)).store(at('rsp', output + registerOffset.rax), 'rax');
  code.addImmediate(gs(area.resultCursor), map.resultBytes);
  code.addImmediate(gs(area.cursor), map.ringEntryBytes).jump('calls');
}

function emitWindow(code: Assembler): void {
  // Whatever is pending and not blocked by PPR is taken before `cli` retires: the architecture recognises interrupts
  // at the first instruction boundary behind the shadow of `sti`, and every handler's `iretq` is such a boundary.
  code.label('window').load('rsp', gs(area.stack)).sti().nop();
  code.label('closing nop').nop().label('closing cli').cli().jump('idle');
  code.label('halt').load('rsp', gs(area.stack)).storeImmediate(gs(area.halting), 1).sti().hlt().cli();
  // An interrupt that became pending between `cli` and the NMI is taken in the window on the way out.
  code.compareImmediate(gs(area.stop), 0).jumpIfNotEqual('window').jump('halt');
}

function emitActs(code: Assembler): void {
  // Waits with interrupts on: what comes meanwhile is taken when the vCPU is entered, before `cli`.
  code.label('open').load('rsp', gs(area.stack)).sti().nop().out(map.ports.idle).jump('closing cli');
  code.label('haltOnce').load('rsp', gs(area.stack)).sti().hlt().cli().jump('idle');

  code.label('write').load('rsp', gs(area.stack)).compareImmediate(gs(area.opens), 0).jumpIfEqual('closed write');
  code.sti().nop();
  code.label('closed write').load('rcx', gs(area.registerAt)).load('rax', gs(area.registerValue)).clear('rdx');
  code.testRcx().jumpIfEqual('write cr8').jumpIfSign('write page');
  code.wrmsr().nop().jump('closing cli');
  code.label('write cr8').moveToCr8().nop().jump('closing cli');
  code.label('write page').load('rcx', gs(area.registerPage)).store32(at('rcx', 0), 'rax').nop().jump('closing cli');

  code.label('readMsr').load('rcx', gs(area.registerAt)).rdmsr().store32(gs(area.registerValue), 'rax');
  code.store32(gs(area.registerValue + 4), 'rdx').jump('idle');

  // The handler that is stayed in returns into the window in which it began, or into one of a handler around it.
  code.label('leave').compareImmediate(gs(area.depth), 0).jumpIfEqual('idle').addImmediate(gs(area.depth), -1);
  code.load('rsp', gs(area.stack)).pop('rax').store(gs(area.stack), 'rax').jump('acknowledge');
}

/**
 * Rounds in which a spinning receiver must have taken everything once all senders are done. A kick that was sent is in
 * flight by then, so a few rounds would do; all of them are some 0.1 ms under TCG, where the tick that would make up for
 * a lost kick comes every 4 ms.
 */
const settleRounds = 20_000;
/** A class of TPR that blocks every vector. */
const tprClassMax = 15;

function emitRace(code: Assembler): void {
  const [arrived, done] = [absolute(map.race.arrived), absolute(map.race.done)];
  code.label('calls done').lockIncrement(done).jump('idle');

  code.label('race').lockIncrement(arrived).moveImmediate('rcx', looksMax);
  code.label('race start').load('rax', arrived).compare('rax', gs(area.parties)).jumpIfAboveOrEqual('calls');
  code.decrementRcx().jumpIfNotEqual('race start').jump('calls');

  code.label('spin').load('rsp', gs(area.stack)).lockIncrement(arrived).sti();
  code.label('spin round').compareImmediate(gs(area.flickers), 0).jumpIfEqual('spin look');
  code.moveImmediate('rax', tprClassMax).moveToCr8().load('rax', gs(area.tprClass)).moveToCr8();
  code.label('spin look').load('rax', done).compare('rax', gs(area.senders)).jumpIfNotEqual('spin round');
  code.moveImmediate('rcx', settleRounds);
  code.label('settle').decrementRcx().jumpIfNotEqual('settle').cli().jump('idle');
}

function emitHandlers(code: Assembler): void {
  code.label('return').pushImmediate(0).pushImmediate(map.returnVector);
  // Stack: vector, (error code or 0), RIP, CS, RFLAGS, RSP, SS.
  code.label('exception').store(gs(area.savedRax), 'rax');
  code.load('rax', at('rsp', 0)).addRax(1).store(gs(area.exception), 'rax');
  code.load('rax', at('rsp', 16)).store(gs(area.exceptionRip), 'rax');
  code.load('rax', at('rsp', 32)).andEax(~RFLAGS_RF).store(gs(area.savedFlags), 'rax');
  code.load('rax', at('rsp', 40)).store(gs(area.savedRsp), 'rax');
  code.load('rax', gs(area.savedRax)).jump('store');

  code.label('nmi').storeImmediate(gs(area.stop), 1).iretq();

  // Stack: RDX, RCX, RAX, vector, RIP, ...
  code.label('interrupt').push('rax').push('rcx').push('rdx');
  code.load('rax', gs(area.logLength)).compareRax(map.logBytesMax).jumpIfAboveOrEqual('log full');
  code.load('rcx', at('rsp', 24)).storeCl(gsAtRax(area.log));
  code.load('rcx', gs(area.pprMsr)).testRcx().jumpIfNotEqual('read ppr');
  code.label('logged').increment(gs(area.logLength)).compareImmediate(gs(area.enter), 0).jumpIfNotEqual('stay');
  // Without an assist page, or where KVM did not offer to do without EOI, the bit is clear.
  code.label('acknowledge').testAndClear(gs(area.assist), 0).jumpIfCarry('interrupt return');
  code.load('rcx', gs(area.eoiMsr)).clear('rax').clear('rdx');
  code.testRcx().jumpIfEqual('xapic eoi').jumpIfSign('interrupt return');
  code.wrmsr().label('interrupt return').pop('rdx').pop('rcx').pop('rax').addRsp(8).iretq();
  code.label('xapic eoi').moveImmediate('rax', xapicRegister(APIC_EOI)).store32(at('rax', 0), 'rcx');
  code.jump('interrupt return');
  code.label('log full').out(map.ports.logFull).jump('log full');

  code.label('read ppr').jumpIfSign('read xapic ppr').rdmsr();
  code.label('log ppr').load('rcx', gs(area.logLength)).storeAl(gsAtRcx(area.priorities)).jump('logged');
  code.label('read xapic ppr').moveImmediate('rax', xapicRegister(APIC_PROCPRI)).loadEax(at('rax', 0)).jump('log ppr');

  code.label('stay').storeImmediate(gs(area.enter), 0).load('rax', gs(area.stack)).push('rax');
  code.store(gs(area.stack), 'rsp').increment(gs(area.depth)).jump('idle');
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
