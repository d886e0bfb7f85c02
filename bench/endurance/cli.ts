/** Runs this tool's command line in a process of its own, to be killed or filled up from outside. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderr: string;
}

/** When to `kill -9`: this long after the start of the process, or after it said that its target is open. */
export interface Kill {
  readonly from: 'start' | 'open';
  readonly ms: number;
}

/** @param kill null lets the process end by itself. */
export function runCli(args: readonly string[], kill: Kill | null, env: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'src/cli.ts', ...args], {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-20_000);
    if (kill?.from === 'open' && /^hvipi: kernel /m.test(text)) arm(kill);
  });
  let timer: NodeJS.Timeout | undefined;
  const arm = ({ ms }: Kill): void => {
    timer = setTimeout(() => child.kill('SIGKILL'), ms);
  };
  if (kill?.from === 'start') arm(kill);
  return new Promise((resolve, reject) => {
    child.once('error', reject).once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stderr });
    });
  });
}
