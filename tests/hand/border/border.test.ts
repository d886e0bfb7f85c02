import { describe, expect, it } from 'vitest';
import { endings } from '../../../src/hand/operations.ts';
import { findSanitizers, tryBorder } from './border.ts';

const found = await findSanitizers();
if ('reason' in found) process.stderr.write(`the border of the hand is not tried: ${found.reason}\n`);

describe.skipIf('reason' in found)('the border of the hand', () => {
  it('should hold against 20,000 mutated scripts, with no error of a sanitizer and no memory that grows', async () => {
    const { replies, resident } = await tryBorder((found as { compiler: string }).compiler, 20_000, 42);

    // Both sides of the border were there: scripts that ran, in every way that a case ends, and refusals of many kinds.
    for (const ending of Object.keys(endings)) expect(replies.get(`case: ${ending}`)).toBeGreaterThan(0);
    const refusals = [...replies.keys()].filter((kind) => !kind.startsWith('case: '));
    expect(refusals.length).toBeGreaterThan(20);
    expect(resident[1]).toBeLessThan(2 * resident[0] + 64 * 1024);
  }, 300_000);
});
