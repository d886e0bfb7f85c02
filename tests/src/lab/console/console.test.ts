import { describe, expect, it } from 'vitest';
import { classifyConsole, cleanLine, fingerprintOf, headlineKind } from '../../../../src/lab/console/console.ts';
import * as samples from '../console-samples.ts';

describe('headlineKind', () => {
  it.each(samples.ordinaryLines)('should not take an ordinary line for a failure: %s', (line) => {
    expect(headlineKind(cleanLine(line))).toBeNull();
  });

  it.each(samples.headlines)('should see %s in "%s"', (kind, line) => {
    expect(headlineKind(cleanLine(line))).toBe(kind);
  });
});

describe('classifyConsole', () => {
  it('should find nothing in a boot', () => {
    expect(classifyConsole(samples.ordinaryLines)).toBeNull();
  });

  it.each(samples.reports)('should name a report by headline, place and frames: %s', (_, text, kind, fingerprint) => {
    const report = classifyConsole(text.split('\n'));
    expect(report).toMatchObject({ kind, fingerprint });
  });

  it('should give the same name to the same failure of another boot', () => {
    const [first, second] = [samples.nullPointer, samples.nullPointerLater].map((text) => text.split('\n'));
    expect(classifyConsole(second!)?.fingerprint).toBe(classifyConsole(first!)?.fingerprint);
  });

  it("should keep a warning's own text and leave out what came before", () => {
    const report = classifyConsole(`[    4.000000] before\n${samples.warning}`.split('\n'));
    expect(report?.excerpt.split('\n')[0]).toBe('kvm: told to');
  });

  it('should end a report where the next one begins', () => {
    const report = classifyConsole(`${samples.atomic}\n${samples.warning}`.split('\n'));
    expect(report?.excerpt).not.toContain('told to');
    expect(report?.fingerprint).toBe('BUG: scheduling while atomic: node; msleep < kvm_hv_hypercall');
  });
});

describe('fingerprintOf', () => {
  it('should say that the CPU idles instead of naming the idle loop', () => {
    const report = [
      'Kernel panic - not syncing: NMI: Not continuing',
      'Call Trace:',
      ' <TASK>',
      ' default_idle+0x9/0x20',
    ];
    expect(fingerprintOf(report)).toBe('Kernel panic - not syncing: NMI: Not continuing; CPU idle');
  });
});
