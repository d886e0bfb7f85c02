import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { main } from '../../src/commands/main.ts';
import { isLabMissing } from './support.ts';

describe.skipIf(isLabMissing)('compare', () => {
  it("should find the differences between Debian's kernels, and none that the contracts do not say", async () => {
    const out = await mkdtemp(join(tmpdir(), 'hvipi-test-'));
    let text = '';
    const options = ['--base', 'debian:6.1', '--kernel', 'debian:6.12', '--seed', 'ci', '--runs', '64', '--no-install'];

    const exitCode = await main(['compare', ...options, '--out', out, '--json'], {
      stdout: { write: (piece) => (text += piece.toString()) },
      stderr: { isTTY: false, write: () => undefined },
      signal: new AbortController().signal,
      isDebugging: false,
    });
    await rm(out, { recursive: true, force: true });

    const { groups } = JSON.parse(text) as { groups: { key: string; confirmed: string }[] };
    const keys = groups.map(({ key }) => key).sort();
    expect(exitCode).toBe(1);
    // KVM_MAX_VCPUS twice, the extended hypercalls of 6.3, and CONFIG_KVM_XEN.
    const points = ['bankReadMax', 'hasExtendedCalls', 'interceptsXen', 'vpIndexLimit'];
    expect(keys).toEqual(points.map((point) => `contract ${point}`));
    expect(groups.filter(({ confirmed }) => confirmed !== '10/10')).toEqual([]);
  });
});
