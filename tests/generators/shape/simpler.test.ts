import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { caseArbitrary } from '../../../generators/case.ts';
import { isSimpler } from '../../../generators/shape/simpler.ts';
import { usualSwarm } from '../../../generators/swarm.ts';
import {
  type Case,
  type Machine,
  makeCase,
  makeStep,
  type SendIpiExStep,
  type SendIpiStep,
  type VcpuSetup,
} from '../../../src/case/case.ts';

const one = [{ vpIndex: 0 }];
const call = (given: Partial<SendIpiStep> = {}) =>
  makeCase(one, [makeStep({ do: 'send-ipi', vector: 0xfe, ...given })]);
const callEx = (given: Partial<SendIpiExStep> = {}) =>
  makeCase(one, [makeStep({ do: 'send-ipi-ex', vector: 0xfe, ...given })]);

const machine = (fields: Partial<Omit<Machine, 'vcpus'>>, vcpus: Partial<VcpuSetup>[] = [{}]) =>
  makeCase(
    vcpus.map((vcpu, position) => ({ vpIndex: position, ...vcpu })),
    call().steps,
    fields,
  );

describe('isSimpler', () => {
  it.each<[string, Case, Case]>([
    [
      'fewer vCPUs, whatever the steps',
      makeCase(one, [...call().steps, ...call().steps]),
      makeCase([...one, { vpIndex: 1 }], call().steps),
    ],
    [
      'a VP index that is the position',
      makeCase([...one, { vpIndex: 1 }], call().steps),
      makeCase([...one, { vpIndex: 0 }], call().steps),
    ],
    ['fewer steps', callEx({ fast: true }), makeCase(one, [...call().steps, makeStep({ do: 'run' })])],
    ['send-ipi', call({ targets: [0] }), callEx()],
    ['a slow call', call({ targets: [0] }), call({ fast: true })],
    ['fewer targets', call({ targets: [63] }), call({ targets: [0, 1] })],
    ['a target that the machine has', call({ targets: [0] }), call({ targets: [1] })],
    ['a header that agrees', callEx(), callEx({ variableHeader: 0 })],
    ['vector 0xfe', call(), call({ vector: 0x10 })],
    ['a legal vector', call({ vector: 0xff }), call({ vector: 0 })],
    ['no address', call(), call({ gpa: 0x100000n })],
    ['the end of RAM', call({ gpa: 0x100000n }), call({ gpa: 0xf0000n })],
    ['the usual tail', call(), call({ tail: 0n })],
    ['format 0', callEx(), callEx({ format: 1n })],
    ['the kernel’s irqchip, whatever the vCPUs', machine({}, [{}, {}]), machine({ irqchip: 'split' })],
    ['a split irqchip', machine({ irqchip: 'split' }), machine({ irqchip: 'none' })],
    ['no Xen', machine({}), machine({ xen: true })],
    ['the usual GUEST_OS_ID', machine({}), machine({ guestOsId: 0n })],
    ['GUEST_OS_ID 0', machine({ guestOsId: 0n }), machine({ guestOsId: 1n })],
    ['a vCPU that runs', machine({}, [{}, {}]), machine({}, [{}, { idle: 'uninitialized' }])],
    [
      'a vCPU that lacks less',
      machine({}, [{ lacks: ['hyperv'] }]),
      machine({}, [{ lacks: ['cluster-ipi', 'ex-masks'] }]),
    ],
    ['CPUID that is not enforced', machine({}), machine({}, [{ enforced: true }])],
    ['the position as id', machine({}), machine({}, [{ vcpuId: 0 }])],
    ['fewer presets', machine({}, [{ irr: [255] }]), machine({}, [{ irr: [16, 17] }])],
    ['lower presets', machine({}, [{ isr: [16] }]), machine({}, [{ isr: [17] }])],
    ['a lower priority', machine({}, [{ tpr: 1 }]), machine({}, [{ tpr: 2 }])],
    ['64-bit mode, whatever the call', callEx({ fast: true }), callEx({ mode: 'compat' })],
    ['CPL 0', call(), call({ cpl: 1 })],
    ['the native opcode', call(), call({ opcode: 'other' })],
    ['a bare instruction', call(), call({ page: 0xe0000n })],
    ['a lower page', call({ page: 0xe0000n }), call({ page: 0xf0000n })],
    ['the usual RAX', call(), call({ rax: 11n })],
    ['a call', call({ cpl: 3 }), makeCase(one, [makeStep({ do: 'set-apic', apic: 'enabled' })])],
    [
      'a changed APIC',
      makeCase(one, [makeStep({ do: 'set-apic', apic: 'hardware-disabled' })]),
      makeCase(one, [makeStep({ do: 'write-msr', msr: 'guest-os-id', value: 0n })]),
    ],
    [
      'a smaller value',
      makeCase(one, [makeStep({ do: 'write-msr', msr: 'vp-index', value: 1n })]),
      makeCase(one, [makeStep({ do: 'write-msr', msr: 'vp-index', value: 2n })]),
    ],
  ])('should prefer %s', (_, simple, other) => {
    expect(isSimpler(simple, other)).toBe(true);
    expect(isSimpler(other, simple)).toBe(false);
  });

  it('should be a strict order: nothing is simpler than itself, and never both ways', () => {
    const arbitrary = caseArbitrary(usualSwarm);
    fc.assert(
      fc.property(arbitrary, arbitrary, (a, b) => {
        expect(isSimpler(a, a)).toBe(false);
        expect(isSimpler(a, b) && isSimpler(b, a)).toBe(false);
      }),
      { seed: 42, numRuns: 100 },
    );
  });
});
