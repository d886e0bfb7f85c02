/** What every verb gets and gives: an output that somebody else owns, a way to be stopped, and an exit code. */
import type { ProgressOutput } from '../../campaign/progress.ts';
import { CaseError } from '../../case/case.ts';
import { InfrastructureError, KernelFailure, SkippedError } from '../../errors.ts';
import { UsageError } from '../../errors.ts';

export interface CommandContext {
  readonly stdout: { write(text: string | Buffer): void };
  readonly stderr: ProgressOutput;
  /** Fires on Ctrl-C. */
  readonly signal: AbortSignal;
  /** Whether errors come with their stack. */
  readonly isDebugging: boolean;
}

/** Exit codes: a contract, others script against it. */
export const exitCodes = {
  fine: 0,
  divergence: 1,
  usage: 2,
  infrastructure: 3,
  skipped: 4,
  kernelFailure: 5,
} as const;

/** The exit code that an error stands for. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof CaseError) return exitCodes.usage;
  if (error instanceof SkippedError) return exitCodes.skipped;
  if (error instanceof KernelFailure) return exitCodes.kernelFailure;
  return exitCodes.infrastructure;
}

/** An error in one line. What this tool throws on purpose speaks for itself; the rest is a bug and says so. */
export function errorLine(error: unknown): string {
  const message = (error instanceof Error ? error.message : String(error)).replace(/\s*\n\s*/g, ' ').trim();
  const isOwn = exitCodeOf(error) !== exitCodes.infrastructure || error instanceof InfrastructureError;
  return `hvipi: ${isOwn ? '' : 'internal error: '}${message}`;
}

/** A JSON text with numbers of more than 53 bits as hexadecimal strings. */
export function formatJson(value: unknown): string {
  const replacer = (_: string, field: unknown): unknown =>
    typeof field === 'bigint' ? `0x${field.toString(16)}` : field instanceof Map ? Object.fromEntries(field) : field;
  return `${JSON.stringify(value, replacer, 2)}\n`;
}
