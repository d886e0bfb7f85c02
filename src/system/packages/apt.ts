/** Debian's package tools: the one place that runs apt. */
import { InfrastructureError } from '../../errors.ts';
import { runTool } from '../run-tool.ts';
import type { Say } from '../say.ts';
import { findProgram } from './tools.ts';

/** Seconds to wait for another apt that runs. */
const options = ['-o', 'DPkg::Lock::Timeout=120', '-o', 'APT::Sandbox::User=root'];

export function hasApt(): boolean {
  return findProgram('apt-get') !== null;
}

export function isRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * Runs apt-get.
 *
 * @throws InfrastructureError with apt's own last error line.
 */
export async function aptGet(
  args: readonly string[],
  { cwd, signal }: { cwd?: string; signal?: AbortSignal | undefined } = {},
): Promise<void> {
  await runTool('apt-get', [...options, ...args], { ...(cwd === undefined ? {} : { cwd }), signal });
}

/**
 * Updates the package lists; returns apt's complaint when it could not get all of them. What is needed may be there
 * all the same, so it is for the caller to say what came of it.
 */
export async function updateLists(
  say: Say,
  { args = [], signal }: { args?: readonly string[]; signal?: AbortSignal | undefined },
): Promise<InfrastructureError | null> {
  say('updating the package lists');
  try {
    // Without it, apt only warns when it cannot reach anything.
    await aptGet([...args, '-o', 'APT::Update::Error-Mode=any', 'update'], { signal });
    return null;
  } catch (error) {
    if (!(error instanceof InfrastructureError) || signal?.aborted) throw error;
    return error;
  }
}

/** Names of the packages that apt knows and that begin with `prefix`. */
export async function packageNames(prefix: string, args: readonly string[] = []): Promise<string[]> {
  return (await runTool('apt-cache', [...args, 'pkgnames', prefix])).split('\n').filter(Boolean);
}

/** The version that apt would install, or null when it has none. */
export async function candidateVersion(name: string, args: readonly string[] = []): Promise<string | null> {
  const version = /^ +Candidate: (.*)$/m.exec(await runTool('apt-cache', [...args, 'policy', name]))?.[1];
  return version === undefined || version === '(none)' ? null : version;
}
