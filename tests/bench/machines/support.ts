import type { Row } from '../../../bench/machines/row.ts';

export function aRow(changes: Partial<Row> = {}): Row {
  return {
    system: '13',
    kernel: 'debian:7.3',
    seed: '1',
    budgetSeconds: 120,
    date: '2026-11-29T12:00:00.000Z',
    node: 'v20.19.2',
    qemu: '10.0.13',
    qemuFaults: [],
    release: '7.3.4+deb13-amd64',
    cases: 3000,
    hypercalls: 60_000,
    seconds: 120.4,
    bootSeconds: 3,
    rulesHit: 41,
    rulesTotal: 41,
    restarts: 0,
    kvmFaults: [],
    findings: [],
    ...changes,
  };
}

/** What `fuzz --json` says of the same. */
export function aReport(changes: object = {}): object {
  const row = aRow();
  return {
    schema: 'hvipi/fuzz/1',
    target: { kernelRelease: row.release, emulator: { name: 'qemu', version: row.qemu, faults: [] }, name: 'lab' },
    cases: row.cases,
    hypercalls: row.hypercalls,
    seconds: row.seconds,
    bootSeconds: row.bootSeconds,
    rules: { hit: Array.from({ length: row.rulesHit }, (_, index) => `rule-${index}`), total: row.rulesTotal },
    restarts: 0,
    kvmFaults: {},
    error: null,
    findings: [],
    ...changes,
  };
}
