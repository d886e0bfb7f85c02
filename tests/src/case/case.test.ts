import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { caseArbitrary } from '../../../generators/case.ts';
import { usualSwarm } from '../../../generators/swarm.ts';
import {
  CaseError,
  caseId,
  caseSchemaName,
  formatCase,
  isAllowedGpa,
  makeCase,
  makeStep,
  parseCase,
  toJson,
} from '../../../src/case/case.ts';

const arbitrary = caseArbitrary(usualSwarm);
const minimal = { schema: caseSchemaName, machine: { vcpus: [{ vpIndex: 0 }] }, steps: [{ do: 'run' }] };
const call = { do: 'send-ipi', vector: '0xfe' };
const callEx = { do: 'send-ipi-ex', vector: '0xfe' };
const withStep = (step: object) => ({ ...minimal, steps: [step] });
const withVcpu = (vcpu: object) => ({ ...minimal, machine: { vcpus: [vcpu] } });

describe('parseCase', () => {
  it('should fill in the default of every field that is left out', () => {
    expect(parseCase({ ...minimal, steps: [call, callEx, { do: 'run' }] })).toEqual({
      schema: 'hvipi/case/1',
      why: '',
      origin: null,
      machine: { vcpus: [{ vpIndex: 0, apic: 'x2apic', eoi: 'hv-msr', idle: 'parked' }] },
      steps: [
        { do: 'send-ipi', ...defaults() },
        { do: 'send-ipi-ex', ...defaults(), ...setDefaults() },
        { do: 'run', note: '' },
      ],
    });
  });

  it('should read text and values alike', () => {
    expect(parseCase(JSON.stringify(minimal))).toEqual(parseCase(minimal));
  });

  it('should undo formatCase for every generated case', () => {
    fc.assert(
      fc.property(arbitrary, (value) => {
        expect(parseCase(formatCase(value))).toEqual(value);
      }),
      { seed: 42, numRuns: 300 },
    );
  });

  it('should accept what lies on a limit', () => {
    const step = {
      ...callEx,
      vector: '0xffffffff',
      targets: '4095',
      variableHeader: 1023,
      controlBits: '63',
      padding: '0xffffff',
    };
    expect(() => parseCase(withStep(step))).not.toThrow();
    expect(() => parseCase(withVcpu({ vpIndex: 4294967295 }))).not.toThrow();
    expect(() => parseCase({ ...minimal, steps: times(64, call) })).not.toThrow();
    expect(() => parseCase({ ...minimal, machine: { vcpus: times(8, { vpIndex: 0 }) } })).not.toThrow();
  });

  it.each<[name: string, input: unknown, message: RegExp]>([
    ['no JSON', '{', /^not JSON: /],
    ['nothing', null, /^schema: is missing, this hvipi reads "hvipi\/case\/1"$/],
    ['no schema', {}, /^schema: is missing/],
    ['another schema', { ...minimal, schema: 'other' }, /^schema: is "other", this hvipi reads "hvipi\/case\/1"$/],
    [
      'a newer schema',
      { ...minimal, schema: 'hvipi/case/2' },
      /^schema: is "hvipi\/case\/2".*; a newer hvipi wrote it$/,
    ],
    ['an unknown field', { ...minimal, extra: 1 }, /^case: .*extra/],
    ['no machine', { schema: caseSchemaName, steps: [call] }, /^machine: /],
    ['no vCPU', { ...minimal, machine: { vcpus: [] } }, /^machine\.vcpus: /],
    ['nine vCPUs', { ...minimal, machine: { vcpus: times(9, { vpIndex: 0 }) } }, /^machine\.vcpus: /],
    ['no VP index', withVcpu({}), /^machine\.vcpus\[0\]\.vpIndex: /],
    ['a VP index of 33 bits', withVcpu({ vpIndex: 4294967296 }), /^machine\.vcpus\[0\]\.vpIndex: /],
    ['an unknown APIC state', withVcpu({ vpIndex: 0, apic: 'off' }), /^machine\.vcpus\[0\]\.apic: /],
    ['an unknown vCPU field', withVcpu({ vpIndex: 0, tpr: 1 }), /^machine\.vcpus\[0\]: .*tpr/],
    ['no step', { ...minimal, steps: [] }, /^steps: /],
    ['65 steps', { ...minimal, steps: times(65, call) }, /^steps: /],
    ['an unknown step', withStep({ do: 'sleep' }), /^steps\[0\]\.do: /],
    ['no vector', withStep({ do: 'send-ipi' }), /^steps\[0\]\.vector: /],
    ['a vector that is a number', withStep({ ...call, vector: 254 }), /^steps\[0\]\.vector: /],
    ['a vector that is decimal', withStep({ ...call, vector: '254' }), /^steps\[0\]\.vector: not a hexadecimal number/],
    [
      'a vector of 33 bits',
      withStep({ ...call, vector: '0x100000000' }),
      /^steps\[0\]\.vector: does not fit in 32 bits$/,
    ],
    [
      'a target VTL of 9 bits',
      withStep({ ...call, targetVtl: '0x100' }),
      /^steps\[0\]\.targetVtl: does not fit in 8 bits$/,
    ],
    [
      'a tail of 65 bits',
      withStep({ ...call, tail: '0x10000000000000000' }),
      /^steps\[0\]\.tail: not a hexadecimal number/,
    ],
    ['a variable header of 11 bits', withStep({ ...call, variableHeader: 1024 }), /^steps\[0\]\.variableHeader: /],
    ['a rep count of 13 bits', withStep({ ...call, repCount: 4096 }), /^steps\[0\]\.repCount: /],
    ['control bit 64', withStep({ ...call, controlBits: '64' }), /^steps\[0\]\.controlBits: 64 is above 63$/],
    ['target 64 of send-ipi', withStep({ ...call, targets: '0,64' }), /^steps\[0\]\.targets: 64 is above 63$/],
    [
      'target 4096 of send-ipi-ex',
      withStep({ ...callEx, targets: '4096' }),
      /^steps\[0\]\.targets: 4096 is above 4095$/,
    ],
    ['targets that are no list', withStep({ ...call, targets: 'all' }), /^steps\[0\]\.targets: "all" is neither/],
    ['a format on send-ipi', withStep({ ...call, format: '0x1' }), /^steps\[0\]: .*format/],
    [
      'a sender outside of the machine',
      withStep({ ...call, sender: 1 }),
      /^steps\[0\]\.sender: vCPU 1 is not in the machine, which has 1$/,
    ],
    ['an address in the program', withStep({ ...call, gpa: '0xdffff' }), /^steps\[0\]\.gpa: 0xdffff belongs to/],
    [
      'an address in the APIC page',
      withStep({ ...call, gpa: '0xfee00800' }),
      /^steps\[0\]\.gpa: 0xfee00800 belongs to/,
    ],
  ])('should refuse %s and name the field', (_, input, message) => {
    expect(() => parseCase(input)).toThrow(CaseError);
    expect(() => parseCase(input)).toThrow(message);
  });
});

describe('formatCase', () => {
  it('should leave out what has its default, and end with a newline', () => {
    const value = parseCase({ ...minimal, steps: [call] });
    expect(toJson(value)).toEqual({ ...minimal, steps: [call] });
    expect(JSON.parse(formatCase(value))).toEqual(toJson(value));
    expect(formatCase(value).endsWith('}\n')).toBe(true);
  });

  it('should write fields in the schema’s order, sets as lists and words as hexadecimal numbers', () => {
    const step = makeStep({
      do: 'send-ipi-ex',
      targets: [3, 1, 2],
      vector: 0x31,
      format: 1n,
      fast: true,
      sender: 0,
      gpa: 0xf0000n,
    });
    const text = JSON.stringify(toJson(makeCase([{ vpIndex: 65, eoi: 'apic' }], [step])));
    expect(text).toBe(
      '{"schema":"hvipi/case/1","machine":{"vcpus":[{"vpIndex":65,"eoi":"apic"}]},' +
        '"steps":[{"do":"send-ipi-ex","fast":true,"vector":"0x31","gpa":"0xf0000","format":"0x1","targets":"1-3"}]}',
    );
  });

  it('should be the same text after another round', () => {
    for (const value of fc.sample(arbitrary, { seed: 7, numRuns: 100 })) {
      expect(formatCase(parseCase(formatCase(value)))).toBe(formatCase(value));
    }
  });
});

describe('caseId', () => {
  const value = makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi', vector: 0xfe, targets: [0] })]);

  it('should never change for a case', () => {
    expect(caseId(value)).toBe('5d8833ae3219');
  });

  it('should not depend on remarks', () => {
    const steps = value.steps.map((step) => ({ ...step, note: 'a note' }));
    const remarked = { ...value, why: 'w', origin: { seed: 's', path: '0:1' }, steps };
    expect(caseId(remarked)).toBe(caseId(value));
  });

  it('should differ where the machine or a step does', () => {
    const ids = fc.sample(arbitrary, { seed: 42, numRuns: 200 }).map(caseId);
    expect(new Set(ids).size).toBe(200);
  });
});

describe('makeStep', () => {
  it('should have every field at its default but those given', () => {
    expect(makeStep({ do: 'send-ipi', targets: [5] })).toEqual({ do: 'send-ipi', ...defaults(), targets: [5] });
    expect(makeStep({ do: 'run' })).toEqual({ do: 'run', note: '' });
  });
});

describe('isAllowedGpa', () => {
  it.each<[bigint, boolean]>([
    [0n, false],
    [0xdffffn, false],
    [0xe0000n, true],
    [0x100000n, true],
    [0xfedff000n, true],
    [0xfedff001n, false],
    [0xfee00fffn, false],
    [0xfee01000n, true],
    [(1n << 64n) - 1n, true],
  ])('should judge %i', (gpa, allowed) => {
    expect(isAllowedGpa(gpa)).toBe(allowed);
  });
});

function times(count: number, value: object): object[] {
  return Array.from({ length: count }, () => value);
}

function defaults() {
  return {
    sender: 0,
    fast: false,
    vector: 0xfe,
    targetVtl: 0,
    padding: 0,
    variableHeader: null,
    repCount: 0,
    repStart: 0,
    controlBits: [],
    gpa: null,
    outputGpa: 0n,
    tail: 0xffff_ffff_ffff_ffffn,
    note: '',
    targets: [],
  };
}

function setDefaults() {
  return { format: 0n, emptyBanks: [], maskFlips: [] };
}
