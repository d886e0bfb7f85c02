/** Runs a program of this computer to its end. */
import { execa } from 'execa';
import { InfrastructureError } from '../errors.ts';

const environment = { LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };

/**
 * Runs a tool and returns its stdout.
 *
 * @throws InfrastructureError in one line: the command and the tool's own last error line.
 */
export async function runTool(
  tool: string,
  args: readonly string[],
  { cwd, signal }: { cwd?: string; signal?: AbortSignal | undefined } = {},
): Promise<string> {
  const result = await execa(tool, args, {
    encoding: 'utf8',
    env: environment,
    stdin: 'ignore',
    reject: false,
    ...(cwd === undefined ? {} : { cwd }),
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  });
  if (!result.failed) return result.stdout;
  const lines = result.stderr.split('\n').map((line) => line.trim());
  // The last one is often a summary without the reason.
  const isReason = (line: string): boolean => line.startsWith('E:') && !line.startsWith('E: Some index files');
  const said = lines.findLast(isReason) ?? lines.findLast(Boolean) ?? result.shortMessage;
  const verb = args.find((arg) => /^[a-z]+$/.test(arg)) ?? '';
  throw new InfrastructureError(`${tool} ${verb} failed: ${said}`);
}
