import { describe, expect, it } from 'vitest';
import { main } from '../../src/commands/main.ts';
import { Lab } from '../../src/lab/lab.ts';
import { openTestLab } from './support.ts';

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

describe('fuzz', () => {
  it('should give the same stream of cases and verdicts in two labs and on the model', async (context) => {
    const lab = await openTestLab('debian:6.12');
    if (!(lab instanceof Lab)) context.skip(lab.message);
    else await lab[Symbol.asyncDispose]();
    const budget = ['--seed', 'stream', '--runs', '256'];

    const first = await fuzz(...budget);
    const second = await fuzz(...budget);
    const model = await fuzz(...budget, '--target', 'model');

    expect([first.exitCode, second.exitCode, model.exitCode]).toEqual([0, 0, 0]);
    expect(first.json['findings']).toEqual([]);
    expect(first.json['streamHash']).toBe(model.json['streamHash']);
    expect(second.json['streamHash']).toBe(model.json['streamHash']);
  });
});
