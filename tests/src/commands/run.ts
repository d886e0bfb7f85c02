/** Runs a command line in this process and gives what it printed. */
import { main } from '../../../src/commands/main.ts';

export interface Ran {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export async function run(...argv: string[]): Promise<Ran> {
  return runUntil(new AbortController().signal, ...argv);
}

export async function runUntil(signal: AbortSignal, ...argv: string[]): Promise<Ran> {
  let stdout = '';
  let stderr = '';
  const exitCode = await main(argv, {
    stdout: { write: (text) => void (stdout += text.toString()) },
    stderr: { isTTY: false, write: (text) => void (stderr += text) },
    signal,
    isDebugging: false,
  });
  return { exitCode, stdout, stderr };
}
