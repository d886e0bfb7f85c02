/** How this program is called, for hints that can be typed as they are. */
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder of package.json, whether this file runs as it is or as it was built (`dist/src/system`). */
export function packageRoot(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const above = join(here, '../..');
  return above.endsWith('/dist') ? dirname(above) : above;
}

/** The version in package.json. */
export function ownVersion(): string {
  return (JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as { version: string }).version;
}

/** A command line of this tool, as the person who runs it types it: from a checkout, through npx, or by its name. */
export function hvipiCommand(...args: readonly string[]): string {
  return [programName(packageRoot(), process.env), ...args.map(shellQuoted)].join(' ');
}

/** @param env tells npx, for which npm sets npm_command to `exec`. */
export function programName(root: string, env: NodeJS.ProcessEnv): string {
  if (!root.split('/').includes('node_modules')) return 'npm run -s hvipi --';
  return env['npm_command'] === 'exec' ? 'npx hvipi' : 'hvipi';
}

/** An argument as a shell reads it. */
export function shellQuoted(arg: string): string {
  return /^[\w./:=@%+,-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`;
}
