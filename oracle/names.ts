/** How expected and observed values read for a kernel developer. */
import { hvStatusName } from '../src/abi/hypercall.ts';
import { foldRanges } from '../src/case/ranges.ts';

export function formatHex(value: number | bigint, digits = 1): string {
  return `0x${value.toString(16).padStart(digits, '0')}`;
}

/** `0xfe, 0x20-0x2f`, or `nothing`. */
export function formatVectors(vectors: readonly number[]): string {
  return foldRanges(vectors, (vector) => formatHex(vector, 2)).join(', ') || 'nothing';
}

/** `HV_STATUS_INVALID_HYPERCALL_INPUT (3)`. */
function formatStatus(status: bigint): string {
  const name = hvStatusName(status);
  return name.startsWith('0x') ? `status ${status}` : `${name} (${status})`;
}

/** A 64-bit result: the status alone when nothing else is set, else the whole register as well. */
export function formatResult(result: bigint | null): string {
  if (result === null) return 'no result';
  if (result >> 16n === 0n) return formatStatus(result);
  return `${formatHex(result, 16)}: ${formatStatus(result & 0xffffn)} and more bits`;
}

const exceptionNames: Record<number, string> = { 1: '#DB', 6: '#UD', 8: '#DF', 13: '#GP', 14: '#PF' };

export function formatException(vector: number | null): string {
  if (vector === null) return 'none';
  return `${exceptionNames[vector] ?? 'exception'} (vector ${vector})`;
}
