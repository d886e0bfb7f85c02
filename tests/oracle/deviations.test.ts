import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { drawBatch } from '../../generators/batch.ts';
import { deviations, explainViolations, openPoints } from '../../oracle/deviations.ts';
import { predict } from '../../oracle/model.ts';
import { judgeByTlfs } from '../../oracle/tlfs.ts';
import { tlfsSourceOf } from '../../oracle/tlfs-text.ts';
import { parseCase } from '../../src/case/case.ts';
import { encodeCase } from '../../src/case/encode.ts';
import type { Program } from '../../src/case/program.ts';
import { factsFor } from '../../src/docs/deviations-page.ts';
import { type CallRegisters, facts, literalCall, programOf } from './programs.ts';

const folder = join(import.meta.dirname, '..', '..', 'corpus', 'known');
const known = (name: string): Program => encodeCase(parseCase(readFileSync(join(folder, `${name}.json`), 'utf8')));

/** Names of the deviations and violations without one, call by call. */
function explained(program: Program, kvmMaxVcpus = 4096): { names: string[]; unlisted: number }[] {
  const target = { ...facts, kvmMaxVcpus };
  return judgeByTlfs(program, predict(program, target), target).map((judged) => {
    const found = explainViolations(judged);
    return { names: found.known.map(({ name }) => name), unlisted: found.unlisted.length };
  });
}

describe('deviations', () => {
  it.each(deviations)('should show $name, and only that, in its minimal case', (deviation) => {
    const { kvmMaxVcpus } = factsFor(deviation);
    expect(explained(known(deviation.name), kvmMaxVcpus)).toEqual([{ names: [deviation.name], unlisted: 0 }]);
  });

  it('should have a minimal case for each and no other files', () => {
    expect(readdirSync(folder).sort()).toEqual(deviations.map(({ name }) => `${name}.json`).sort());
  });

  it('should show bank-read-capped only on a KVM that caps', () => {
    expect(explained(known('bank-read-capped'), 4096)).toEqual([{ names: [], unlisted: 0 }]);
  });

  it.each(deviations)('should cite both sides of $name', ({ id, tlfs, kvm, since }) => {
    expect(id).toMatch(/^D\d\d$/);
    expect(tlfsSourceOf(tlfs.rule)).toMatch(/^WEB /);
    expect(kvm.source).toMatch(/^kvm_/);
    expect(since ?? '4.20').toMatch(/^\d\.\d+/);
  });

  it.each(openPoints)('should cite why $name is open', ({ rule }) => {
    expect(tlfsSourceOf(rule)).toMatch(/^WEB /);
  });

  it('should have no name and no number twice', () => {
    expect(new Set(deviations.map(({ name }) => name)).size).toBe(deviations.length);
    expect(new Set(deviations.map(({ id }) => id)).size).toBe(deviations.length);
  });
});

/** More of what each deviation covers than its minimal case. */
const others: readonly { readonly names: readonly string[]; readonly title: string; readonly call: CallRegisters }[] = [
  { names: ['bad-vector-status'], title: 'vector 0x100', call: { rcx: 0x0001_000bn, rdx: 0x100n } },
  { names: ['bad-vector-status'], title: 'all VPs, vector 5', call: { rcx: 0x0001_0015n, rdx: 5n, r8: 1n } },
  { names: ['fast-0b-vtl-rejected'], title: 'VTL 0', call: { rcx: 0x0001_000bn, rdx: 0x10_0000_00fen } },
  { names: ['fast-0b-vtl-rejected'], title: 'reserved bits', call: { rcx: 0x0001_000bn, rdx: 0x20_0000_00fen } },
  { names: [], title: 'a higher VTL', call: { rcx: 0x0001_000bn, rdx: 0x11_0000_00fen } },
  { names: ['nested-bit-rejected'], title: 'Is Nested, bad vector', call: { rcx: 0x8001_000bn, rdx: 5n } },
  { names: [], title: 'Is Nested and bit 63', call: { rcx: 0x8000_0000_8001_000bn, rdx: 0xfen } },
  { names: [], title: 'Is Nested and a rep count', call: { rcx: 0x0001_8001_000bn, rdx: 0xfen } },
  { names: [], title: 'an absent VP', call: { rcx: 0x0001_000bn, rdx: 0xfen, r8: 4n } },
  { names: [], title: 'all VPs with 12 banks', call: { rcx: 0x0019_0015n, rdx: 0xfen, r8: 1n, xmm: [0xfffn] } },
  { names: [], title: 'all VPs, header without mask', call: { rcx: 0x0003_0015n, rdx: 0xfen, r8: 1n } },
  { names: [], title: 'padding of a fast Ex call', call: { rcx: 0x0001_0015n, rdx: 0x100_0000_00fen } },
  {
    names: ['ex-fast-reserved-unchecked', 'unknown-format-is-sparse', 'empty-sparse-skips-vector'],
    title: 'three things at once',
    call: { rcx: 0x0001_0015n, rdx: 0x20_0000_0005n, r8: 2n },
  },
  { names: ['gpa-unreadable-status'], title: 'the last address', call: { rcx: 0x0bn, rdx: 0xffff_ffff_ffff_ffffn } },
  { names: [], title: 'an address in a hole', call: { rcx: 0x0bn, rdx: 0x100000n } },
  { names: [], title: 'a block over the end of RAM', call: { rcx: 0x0bn, rdx: 0xffff8n } },
];

describe('explainViolations', () => {
  it.each(others)('should give $names for $title', ({ names, call }) => {
    expect(explained(programOf([0, 65], [literalCall(call)]))).toEqual([{ names, unlisted: 0 }]);
  });

  it('should leave what is not listed', () => {
    const program = programOf([0], [literalCall({ rcx: 0x0001_000bn, rdx: 0xfen, r8: 1n })]);
    const outcome = predict(program, facts);
    const refused = { ...outcome, steps: outcome.steps.map((step) => ({ ...step, result: 3n, receivers: [] })) };
    const [judged] = judgeByTlfs(program, refused, facts);
    expect(explainViolations(judged!)).toEqual({
      known: [],
      unlisted: [{ kind: 'refused', rule: 'named-vps-receive' }],
    });
  });

  it.each([1024, 4096])('should explain all that the model of a KVM of %i vCPUs does with drawn cases', (limit) => {
    const cases = Array.from({ length: 20 }, (_, batch) => drawBatch('deviations', batch, 64).cases).flat();
    const found = cases.flatMap((value) => explained(encodeCase(value), limit));
    expect(found.filter(({ unlisted }) => unlisted > 0)).toEqual([]);
    expect(new Set(found.flatMap(({ names }) => names)).size).toBeGreaterThanOrEqual(12);
  });
});
