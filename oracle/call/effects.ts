/** What the answer to a call does to its caller's registers (kvm_hv_hypercall_set_result, kvm_rax_write, docs/semantics.md 1.2). */
import type { CallExit, RegisterChange } from '../../src/program/observation.ts';
import { plainEnvironment, traps } from '../../src/case/steps/environment.ts';
import { type ProgramCall, registerOffset, rflagsOf } from '../../src/program/program.ts';
import type { CallAtInstruction } from './caller.ts';
import type { Contract } from '../contract.ts';
import type { Rule } from './rules.ts';
import { readLong } from '../words.ts';

/** What a caller sees of an answer. */
export interface Effects {
  readonly result: bigint | null;
  readonly exception: number | null;
  readonly exit: CallExit | null;
  readonly registers: readonly RegisterChange[];
}

/** Of a call that is not made. */
export const notMade: Effects = { result: null, exception: null, exit: 'no-code', registers: [] };

const noRegisters: readonly RegisterChange[] = [];
/** Vector of the debug exception. */
const DB = 1;
const mask64 = 0xffff_ffff_ffff_ffffn;
const mask32 = 0xffff_ffffn;

/** What the rule's answer does; the model makes the result register of a status. */
export function effectsOf(
  rule: Rule,
  step: ProgramCall,
  made: CallAtInstruction,
  contract: Contract,
  model: { result(status: number): bigint },
  vmmAnswer: bigint,
): Effects {
  const { answer } = rule;
  const registers =
    step.environment === plainEnvironment ? noRegisters : changedRegisters(rule, step, made, contract, vmmAnswer);
  const exception = trapBehind(step);
  switch (answer.kind) {
    case 'status':
      return { result: model.result(answer.status), exception, exit: null, registers };
    case 'fault':
      return { result: null, exception: answer.vector, exit: null, registers };
    case 'native':
      return { result: answer.value & (isLong(step) ? mask64 : mask32), exception, exit: null, registers };
    case 'exit':
      return { result: vmmAnswer & (isLong(step) ? mask64 : mask32), exception, exit: answer.exit, registers };
  }
}

/**
 * With TF set, #DB comes behind each instruction, and so behind one that KVM has answered and skipped
 * (kvm_skip_emulated_instruction, kvm_vcpu_do_singlestep), also where the VMM answered; not behind one that faults.
 */
function trapBehind({ environment }: ProgramCall): number | null {
  return traps(environment) ? DB : null;
}

/** Registers besides the result register that change, in the order in which an observation has them. */
function changedRegisters(
  { answer, name }: Rule,
  step: ProgramCall,
  { orResult }: CallAtInstruction,
  { nativeOpcode }: Contract,
  vmmAnswer: bigint,
): RegisterChange[] {
  const { opcode } = step.environment;
  const rflags = rflagsOf(step.environment);
  const changes: RegisterChange[] = [];
  // A Hyper-V result is EDX:EAX outside of 64-bit mode, whether KVM or the VMM made it.
  const isHyperv = answer.kind === 'status' || (answer.kind === 'exit' && answer.exit === 'hyperv');
  if (isHyperv && !isLong(step)) {
    const upper = answer.kind === 'exit' ? vmmAnswer >> 32n : 0n;
    note(changes, 'rdx', readLong(step.registers, registerOffset.rdx), upper);
  }
  if (orResult !== null) {
    if (answer.kind === 'fault') note(changes, 'rax', readLong(step.registers, registerOffset.rax), orResult);
    note(changes, 'rflags', rflags, flagsAfterOr(orResult, rflags));
  }
  if (opcode === 'other' && !name.startsWith('other-opcode')) {
    const native = wordOf(nativeOpcode);
    note(changes, 'code', wordOf(nativeOpcode.with(2, nativeOpcode[2] === 0xc1 ? 0xd9 : 0xc1)), native);
  }
  return changes;
}

function note(changes: RegisterChange[], register: string, before: bigint, after: bigint): void {
  if (before !== after) changes.push({ register, before, after });
}

function isLong({ environment }: ProgramCall): boolean {
  return environment.mode === 'long';
}

function wordOf(bytes: readonly number[]): bigint {
  return bytes.reduceRight((word, byte) => (word << 8n) | BigInt(byte), 0n);
}

/** Flags of a logical operation on EAX whose result has bit 31 set: CF, OF and ZF 0, SF 1, PF by the low byte. */
function flagsAfterOr(result: bigint, before: bigint): bigint {
  const [CF, PF, ZF, SF, OF] = [1n, 4n, 0x40n, 0x80n, 0x800n] as const;
  let parity = Number(result & 0xffn);
  for (const shift of [4, 2, 1]) parity ^= parity >> shift;
  const kept = before & ~(CF | PF | ZF | SF | OF);
  return kept | SF | ((parity & 1) === 0 ? PF : 0n);
}
