import { describe, expect, it } from 'vitest';
import { formatDocument, missingCells } from '../../../bench/machines/document.ts';
import { aRow } from './support.ts';

describe('missingCells', () => {
  it('should leave out what has a row', () => {
    const cells = (['12', '13'] as const).map((system) => ({
      system,
      kernel: 'debian:7.3',
      seed: '1',
      budgetSeconds: 120,
    }));
    expect(missingCells(cells, [aRow()]).map(({ system }) => system)).toEqual(['12']);
  });
});

describe('formatDocument', () => {
  it('should say that nothing was measured', () => {
    expect(formatDocument([])).toContain('Nothing was measured yet.');
  });

  it('should have a line for each system and a column for each kernel, by its numbers', () => {
    const rows = [
      aRow({ kernel: 'debian:6.12', release: '6.12.118+deb13-amd64' }),
      aRow({ kernel: 'debian:6.1', release: '6.1.0-57-amd64' }),
      aRow({ system: '12', node: 'v20.20.2', qemu: '7.2.22', kernel: 'debian:6.12', restarts: 2 }),
    ];
    const lines = formatDocument(rows).split('\n');
    expect(lines).toContain('|  | QEMU | Node | `debian:6.1` | `debian:6.12` |');
    expect(lines).toContain(
      '| Debian 12 | 7.2.22 | v20.20.2 | not run | 41/41 rules, 60,000 calls, no finding, 2 restarts |',
    );
    expect(lines.findIndex((line) => line.startsWith('| Debian 12 |'))).toBeLessThan(
      lines.findIndex((line) => line.startsWith('| Debian 13 |')),
    );
  });

  it('should tell of the last run of a cell, and of its findings', () => {
    const finding = { class: 'divergence', signature: 'run/missing-interrupt', confirmed: '10/10' };
    const twice = formatDocument([aRow({ hypercalls: 1 }), aRow({ hypercalls: 2, findings: [finding] })]);
    expect(twice).toContain('41/41 rules, 2 calls, **1 finding**');
    expect(twice).toContain('Debian 13, 7.3.4+deb13-amd64: divergence `run/missing-interrupt`, confirmed 10/10');
    expect(formatDocument([aRow({ findings: [finding] }), aRow()])).not.toContain('run/missing-interrupt');
  });

  it("should name KVM's own faults, and the emulator's that cases were kept away from", () => {
    const text = formatDocument([
      aRow({ kvmFaults: ['xen-page-32-bit'] }),
      aRow({ system: '12', qemu: '7.2.22', kernel: 'debian:6.1', qemuFaults: ['shadow-kept-over-vmrun'] }),
    ]);
    expect(text).toContain('[xen-page-32-bit](findings/xen-page-32-bit.md)');
    expect(text).toContain('`shadow-kept-over-vmrun`: QEMU 7.2.22 with `debian:6.1`.');
  });
});
