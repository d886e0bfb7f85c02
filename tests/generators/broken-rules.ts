/**
 * Which rules a step breaks, read off the case in the plainest way. It is no model: it only classifies what the
 * generators draw, and it is written apart from both the generators and the oracle.
 */
import type { CallStep } from '../../src/case/case.ts';

const ramEnd = 0x100000n;
const romStart = 0x200000n;
const romEnd = 0x202000n;

/** Banks whose contents a step gives. */
export function banksOf(step: CallStep): Set<number> {
  const empty = step.do === 'send-ipi-ex' ? step.emptyBanks : [];
  return new Set([...step.targets.map((vp) => vp >> 6), ...empty]);
}

/** Banks that the mask of a step names. */
export function maskOf(step: CallStep): Set<number> {
  const banks = banksOf(step);
  const flips = step.do === 'send-ipi-ex' ? step.maskFlips : [];
  for (const bank of flips) if (!banks.delete(bank)) banks.add(bank);
  return banks;
}

/** Bytes of the input block as it is given. */
export function blockBytes(step: CallStep): number {
  return step.do === 'send-ipi' ? 16 : 24 + 8 * banksOf(step).size;
}

/** Names of the rules that KVM enforces and the step breaks. */
export function brokenRules(step: CallStep): string[] {
  const isEx = step.do === 'send-ipi-ex';
  const header = step.variableHeader ?? (isEx ? banksOf(step).size : 0);
  const sparse = isEx && step.format !== 1n;
  const rules: [string, boolean][] = [
    ['vector', step.vector < 0x10 || step.vector > 0xff],
    ['header', header !== (isEx ? maskOf(step).size : 0)],
    ['reserved', step.controlBits.length > 0],
    ['repetitions', step.repCount > 0 || step.repStart > 0],
    ['address', !step.fast && step.gpa !== null && !isInMemory(step.gpa, BigInt(blockBytes(step)))],
    ['registers', step.fast && sparse && header > 11],
    ['vtl', step.fast && !isEx && (step.targetVtl > 0 || step.padding > 0)],
  ];
  return rules.filter(([, broken]) => broken).map(([name]) => name);
}

function isInMemory(gpa: bigint, length: bigint): boolean {
  return gpa + length <= ramEnd || (gpa >= romStart && gpa + length <= romEnd);
}
