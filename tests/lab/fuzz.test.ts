import { describe, expect, it } from 'vitest';
import { main } from '../../src/commands/main.ts';
import { isLabMissing } from './support.ts';

/** Runs `fuzz --json` in this process. */
async function fuzz(...options: string[]): Promise<{ exitCode: number; json: Record<string, unknown> }> {
  let text = '';
  const exitCode = await main(['fuzz', '--json', ...options], {
    stdout: { write: (piece) => (text += piece.toString()) },
    stderr: { isTTY: false, write: () => undefined },
    signal: new AbortController().signal,
    isDebugging: false,
  });
  return { exitCode, json: JSON.parse(text) as Record<string, unknown> };
}

describe.skipIf(isLabMissing)('fuzz', () => {
  it('should give the same stream of cases and verdicts in two labs and on the model', async () => {
    const budget = ['--seed', 'stream', '--runs', '256', '--no-install'];

    const first = await fuzz(...budget);
    const second = await fuzz(...budget);
    const model = await fuzz(...budget, '--target', 'model');

    expect([first.exitCode, second.exitCode, model.exitCode]).toEqual([0, 0, 0]);
    expect(first.json['findings']).toEqual([]);
    expect(first.json['streamHash']).toBe(model.json['streamHash']);
    expect(second.json['streamHash']).toBe(model.json['streamHash']);
  });
});
