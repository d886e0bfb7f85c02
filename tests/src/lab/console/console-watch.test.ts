import { describe, expect, it, vi } from 'vitest';
import type { ConsoleReport } from '../../../../src/lab/console/console.ts';
import { ConsoleWatch } from '../../../../src/lab/console/console-watch.ts';
import * as samples from '../console-samples.ts';

describe('ConsoleWatch', () => {
  it('should report a warning when its end mark comes, however the text is cut', () => {
    const { watch, reports } = open();
    for (const char of `${samples.warning}\n`) watch.feed(char);
    expect(reports.map(({ kind }) => kind)).toEqual(['warning']);
    expect(reports[0]!.excerpt).toContain('told to');
    expect(watch.collecting).toBe(false);
  });

  it('should report an oops after silence', () => {
    vi.useFakeTimers();
    const { watch, reports } = open();
    watch.feed(`${samples.nullPointer}\n`);
    expect([reports.length, watch.collecting]).toEqual([0, true]);
    vi.advanceTimersByTime(1000);
    vi.useRealTimers();
    expect(reports[0]!.excerpt).toContain('Fatal exception');
  });

  it('should report at the end of QEMU what is incomplete', () => {
    const { watch, reports } = open();
    watch.feed('Kernel panic - not syncing: sysrq triggered crash');
    watch.finish();
    expect(reports[0]?.fingerprint).toBe('Kernel panic - not syncing: sysrq triggered crash');
  });

  it('should tell two reports apart', () => {
    const { watch, reports } = open();
    watch.feed(`${samples.atomic}\n${samples.warning}\n`);
    expect(reports.map(({ fingerprint }) => fingerprint.split(':')[0])).toEqual(['BUG', 'WARNING']);
  });

  it('should hear the init script and the decompressor', () => {
    const { watch, notes } = open();
    watch.feed(
      '[    1.000000] ordinary\r\nhvipi-lab: no /dev/kvm\r\n\r\nZSTD-compressed data is corrupt\r\n\r\n -- System halted',
    );
    expect(notes).toEqual(['no /dev/kvm', 'ZSTD-compressed data is corrupt -- System halted']);
  });
});

function open(): { watch: ConsoleWatch; reports: ConsoleReport[]; notes: string[] } {
  const reports: ConsoleReport[] = [];
  const notes: string[] = [];
  const watch = new ConsoleWatch({ report: (report) => reports.push(report), note: (text) => notes.push(text) });
  return { watch, reports, notes };
}
