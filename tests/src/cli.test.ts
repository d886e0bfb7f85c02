import { execa } from 'execa';
import { describe, expect, it } from 'vitest';

const cli = ['--import', 'tsx', 'src/cli.ts'];
const options = { reject: false, timeout: 60_000 } as const;

describe('cli', () => {
  it('should pass exit code, stdout and stderr through', async () => {
    const good = await execa(
      process.execPath,
      [...cli, 'fuzz', '--target', 'model', '--runs', '64', '--no-corpus', '--json'],
      options,
    );
    expect(good.exitCode).toBe(0);
    expect(JSON.parse(good.stdout)).toMatchObject({ cases: 64 });
    const bad = await execa(process.execPath, [...cli, 'fuzz', '--target', 'moon'], options);
    expect(bad).toMatchObject({ exitCode: 2, stdout: '', stderr: expect.stringMatching(/^hvipi: --target moon: .*$/) });
  });

  it('should end at Ctrl-C with the summary and the command to go on', async () => {
    const child = execa(
      process.execPath,
      [...cli, 'fuzz', '--target', 'model', '--time', '1h', '--seed', 'stop', '--no-corpus'],
      options,
    );
    // The first line says that the signal handlers are there; then a batch takes a fraction of a second.
    await new Promise((resolve) => child.stderr.once('data', resolve));
    await new Promise((resolve) => setTimeout(resolve, 2000));
    child.kill('SIGINT');
    const { exitCode, stdout } = await child;
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ended +interrupted$/m);
    expect(stdout).toMatch(/^go on +npm run -s hvipi -- fuzz --seed stop --from-batch [1-9]/m);
  });

  it('should print a stack only when it is asked to debug', async () => {
    const argv = [...cli, 'fuzz', '--target', 'moon'];
    const plain = await execa(process.execPath, argv, options);
    expect(plain.stderr).toMatch(/^hvipi: --target moon: .*$/);
    const debug = await execa(process.execPath, argv, { ...options, env: { HVIPI_DEBUG: '1' } });
    expect(debug.stderr).toContain('    at ');
  });
});
