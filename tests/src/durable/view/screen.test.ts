import { describe, expect, it, vi } from 'vitest';
import { noLimits } from '../../../../src/durable/limits.ts';
import { journalSchemaName } from '../../../../src/durable/journal/record.ts';
import { Screen } from '../../../../src/durable/view/screen.ts';
import { JournalState } from '../../../../src/durable/journal/state.ts';
import { formatSpan, screenLines } from '../../../../src/durable/view/view.ts';
import { identity } from '../helpers.ts';

const state = new JournalState({
  seq: 0,
  at: '2026-01-02T03:04:05.678Z',
  type: 'start',
  schema: journalSchemaName,
  run: '0123456789ab',
  campaign: identity(),
  limits: noLimits,
});
const figures = { state, limits: { ...noLimits, seconds: 7200 }, known: [], status: 'running' };
const live = { seconds: 3600, hypercalls: 123_456, cases: 7890 };

function screenOn(isTTY: boolean): { screen: Screen; written: string[] } {
  const written: string[] = [];
  const output = { isTTY, columns: 60, write: (text: string) => void written.push(text) };
  return { screen: new Screen(output, () => figures), written };
}

describe('Screen', () => {
  it('should write a line every 10 s where there is no terminal', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { screen, written } = screenOn(false);
    for (let second = 0; second < 25; second++) {
      vi.advanceTimersByTime(1000);
      screen.update({ ...live, hypercalls: live.hypercalls + second * 1000 });
    }
    vi.useRealTimers();
    expect(written).toHaveLength(2);
    expect(written[0]).toMatch(/^1 h 00 m \| 7,890 cases \| 132,456 hypercalls \| 1,000\/s \| .* \| 1 h 00 m left\n$/);
  });

  it('should draw over itself on a terminal, and leave lines between', () => {
    vi.useFakeTimers({ toFake: ['performance'] });
    const { screen, written } = screenOn(true);
    for (let round = 0; round < 2; round++) {
      vi.advanceTimersByTime(600);
      screen.update(live);
    }
    screen.line('hvipi: FINDING');
    vi.useRealTimers();
    const [first, second, line] = written as [string, string, string];
    const height = first.split('\n').length - 1;
    expect(second).toBe(`\u001b[${height}A\r\u001b[J${first}`);
    expect(line).toBe(`\u001b[${height}A\r\u001b[Jhvipi: FINDING\n`);
    expect(first.split('\n').every((each) => each.length <= 60)).toBe(true);
  });
});

describe('screenLines', () => {
  it('should say what a person wants to know', () => {
    const lines = screenLines({ ...figures, ...live, rate: 4000 }, Infinity).join('\n');
    for (const word of ['rates', 'tiers', 'coverage', 'grew', 'buckets', 'restarts', '1 h 00 m left']) {
      expect(lines).toContain(word);
    }
  });
});

describe('formatSpan', () => {
  it.each([
    [0.4, '0 s'],
    [61, '1 m 01 s'],
    [3660, '1 h 01 m'],
    [183_600, '2 d 03 h'],
  ])('should write %d s as %s', (seconds, text) => {
    expect(formatSpan(seconds)).toBe(text);
  });
});
