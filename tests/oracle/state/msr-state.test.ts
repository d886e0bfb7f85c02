import { describe, expect, it } from 'vitest';
import { makeCase, makeStep, type Step, type VcpuSetup } from '../../../src/case/case.ts';
import { arenaStart } from '../../../src/case/memory.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { predict } from '../../../oracle/model.ts';
import { facts } from '../programs.ts';

type Msr = Extract<Step, { do: 'read-msr' }>['msr'];
const read = (msr: Msr, vcpu = 0, by: 'host' | 'guest' = 'host') => makeStep({ do: 'read-msr', msr, vcpu, by });
const write = (msr: Exclude<Msr, 'apic-base'>, value: bigint, vcpu = 0) =>
  makeStep({ do: 'write-msr', msr, value, vcpu });
const migrate = makeStep({ do: 'migrate' });
const run = makeStep({ do: 'run' });
const ipi = (vector: number) => makeStep({ do: 'send-ipi', vector, targets: [1] });
const usual = 0x8100_0000_0000_0000n;
const page = arenaStart;

function stepsOf(steps: Step[], vcpus: Partial<VcpuSetup>[] = [{}, {}]) {
  return predict(
    encodeCase(
      makeCase(
        vcpus.map((vcpu, vpIndex) => ({ vpIndex, ...vcpu })),
        steps,
      ),
    ),
    facts,
  ).steps;
}

/** What the reads among the steps give. */
function readings(steps: Step[], vcpus?: Partial<VcpuSetup>[]): (bigint | null)[] {
  return stepsOf(steps, vcpus).flatMap(({ rule, result }) => (rule === 'read-msr' ? [result] : []));
}

describe('predict, read-msr', () => {
  it('should give what was written, to host and guest, from any vCPU where it is of the VM', () => {
    const steps = [read('guest-os-id'), write('guest-os-id', 5n), read('guest-os-id', 1, 'guest')];
    expect(readings(steps)).toEqual([usual, 5n]);
    const others = [read('vp-index', 1), write('vp-index', 0x1_0000_0007n, 1), read('vp-index', 1), read('vp-index')];
    expect(readings(others)).toEqual([1n, 7n, 0n]);
  });

  it.each<[string, Step[], bigint]>([
    ['nothing at first', [], 0n],
    ['a page with all low bits', [write('hypercall', page | 0xfffn)], page | 0xfffn],
    ['a page that is off', [write('hypercall', page | 2n)], page | 2n],
    [
      'the last page, where another is refused',
      [write('hypercall', page | 1n), write('hypercall', (1n << 52n) | 1n)],
      page | 1n,
    ],
    [
      'a page without its enable bit behind GUEST_OS_ID 0',
      [write('hypercall', page | 3n), write('guest-os-id', 0n)],
      page | 2n,
    ],
    ['nothing that was written while GUEST_OS_ID is 0', [write('guest-os-id', 0n), write('hypercall', page | 1n)], 0n],
  ])('should give of HYPERCALL %s', (_, before, value) => {
    expect(readings([...before, read('hypercall'), read('hypercall', 1, 'guest')])).toEqual([value, value]);
  });

  it('should lose HYPERCALL by a migration while GUEST_OS_ID is 0, and not otherwise', () => {
    const off = [
      write('hypercall', page | 3n),
      migrate,
      read('hypercall'),
      write('guest-os-id', 0n),
      migrate,
      read('hypercall'),
    ];
    expect(readings(off)).toEqual([page | 3n, 0n]);
    const rules = stepsOf([...off, migrate]).map(({ rule }) => rule);
    expect(rules.filter((rule) => rule.startsWith('migrate'))).toEqual([
      'migrate',
      'migrate-without-hypercall',
      'migrate',
    ]);
  });

  it.each<[Partial<VcpuSetup>, bigint]>([
    [{}, 0xfee0_0c00n],
    [{ apic: 'xapic' }, 0xfee0_0800n],
    [{ apic: 'software-disabled' }, 0xfee0_0800n],
    [{ apic: 'hardware-disabled' }, 0xfee0_0000n],
  ])('should give the base of the APIC of %j', (vcpu, base) => {
    const bsp = 0x100n;
    expect(readings([read('apic-base'), read('apic-base', 1)], [vcpu, vcpu])).toEqual([base | bsp, base]);
  });

  it('should give the base of an APIC that a step turns off and on', () => {
    const apic = (to: 'enabled' | 'hardware-disabled') => makeStep({ do: 'set-apic', vcpu: 1, apic: to });
    const steps = [apic('hardware-disabled'), read('apic-base', 1), apic('enabled'), read('apic-base', 1)];
    expect(readings(steps)).toEqual([0xfee0_0000n, 0xfee0_0c00n]);
  });
});

describe('predict, SINTs', () => {
  const synic = [{}, { autoEoi: [0x50, 0x60], eoi: 'none' as const }];
  const auto = 0x20000n;
  const masked = 0x10000n;
  const isr = (steps: Step[]) =>
    stepsOf([...steps, ipi(0x50), run], synic)
      .at(-1)!
      .lapics[1]!.get(0x120) ?? 0;
  const inService = 1 << 16;

  it('should read as they were set up: auto-EOI ones from the first on, the others masked', () => {
    const steps = [read('sint0', 1), read('sint1', 1, 'guest'), read('sint2', 1), read('sint15', 1), read('sint0')];
    expect(readings(steps, synic)).toEqual([auto | 0x50n, auto | 0x60n, masked, masked, masked]);
  });

  it.each<[string, Step[], number]>([
    ['as it is set up', [], 0],
    ['masked', [write('sint0', masked | auto | 0x50n, 1)], inService],
    ['without auto-EOI', [write('sint0', 0x50n, 1)], inService],
    ['shared with one that has none', [write('sint15', 0x50n, 1)], 0],
    ['masked, shared with one that is not', [write('sint15', auto | 0x50n, 1), write('sint0', masked | 0x50n, 1)], 0],
    ['moved to another vector and back', [write('sint0', auto | 0x70n, 1), write('sint0', auto | 0x50n, 1)], 0],
    ['of another vCPU, which has none', [write('sint0', 0x50n, 0)], 0],
  ])('should put a vector in service or not whose SINT is %s', (_, steps, bits) => {
    expect(isr(steps)).toBe(bits);
  });

  it('should keep in service what was taken before its SINT became auto-EOI', () => {
    const steps = [write('sint0', 0x50n, 1), ipi(0x50), run, write('sint0', auto | 0x50n, 1)];
    expect(isr(steps)).toBe(inService);
  });

  it('should take any value on a vCPU with a SynIC, and none on one without', () => {
    const all = 0xffff_ffff_ffff_ffffn;
    const steps = [write('sint1', all, 1), write('sint1', 5n, 1), write('sint1', 5n), read('sint1')];
    expect(stepsOf(steps, synic).map(({ rule, result }) => [rule, result])).toEqual([
      ['sint-written', 1n],
      ['sint-written', 1n],
      ['sint-refused', 0n],
      ['read-msr', masked],
    ]);
  });
});
