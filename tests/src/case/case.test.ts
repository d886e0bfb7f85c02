import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { caseArbitrary } from '../../../generators/case.ts';
import { type PlatformPlan, platformPlan } from '../../../generators/machine/platform.ts';
import { usualSwarm } from '../../generators/usual-swarm.ts';
import {
  type Case,
  CaseError,
  caseId,
  formatCase,
  makeCase,
  makeStep,
  parseCase,
  toJson,
} from '../../../src/case/case.ts';
import { caseSchemaName } from '../../../src/case/schema.ts';

const arbitrary = caseArbitrary(usualSwarm);
const minimal = { schema: caseSchemaName, machine: { vcpus: [{ vpIndex: 0 }] }, steps: [{ do: 'run' }] };
const call = { do: 'send-ipi', vector: '0xfe' };
const callEx = { do: 'send-ipi-ex', vector: '0xfe' };
const withStep = (step: object) => ({ ...minimal, steps: [step] });
const withMachine = (fields: object) => ({ ...minimal, machine: { ...minimal.machine, ...fields } });
const withVcpu = (vcpu: object) => ({ ...minimal, machine: { vcpus: [vcpu] } });

describe('parseCase', () => {
  it('should fill in the default of every field that is left out', () => {
    const changes = [
      { do: 'write-msr', msr: 'hypercall', value: '0x0' },
      { do: 'set-apic', apic: 'enabled' },
      { do: 'init' },
    ];
    expect(parseCase({ ...minimal, steps: [call, callEx, { do: 'run' }, ...changes] })).toEqual({
      schema: 'hvipi/case/1',
      why: '',
      origin: null,
      machine: {
        irqchip: 'kernel',
        xen: false,
        schedule: null,
        vmmAnswer: 0x5an,
        neighbour: null,
        guestOsId: 0x8100_0000_0000_0000n,
        vcpus: [
          {
            vpIndex: 0,
            apic: 'x2apic',
            eoi: 'hv-msr',
            idle: 'parked',
            vcpuId: null,
            lacks: [],
            enforced: false,
            tpr: 0,
            irr: [],
            isr: [],
            autoEoi: [],
            logsPpr: false,
          },
        ],
      },
      steps: [
        { do: 'send-ipi', ...defaults() },
        { do: 'send-ipi-ex', ...defaults(), ...setDefaults() },
        { do: 'run', note: '' },
        { do: 'write-msr', vcpu: 0, msr: 'hypercall', value: 0n, note: '' },
        { do: 'set-apic', vcpu: 0, apic: 'enabled', note: '' },
        { do: 'init', vcpu: 0, note: '' },
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

  it('should undo formatCase for cases of every platform, entry and change', () => {
    const one: PlatformPlan = fc.sample(platformPlan, { seed: 3, numRuns: 1 })[0]!;
    const wide = fc.oneof(
      ...[null, one, ...fc.sample(platformPlan, { seed: 42, numRuns: 20 })].map((platform) =>
        caseArbitrary({ ...usualSwarm, environmentPercent: 50, changePercent: 30, noGuestOsIdPercent: 30, platform }),
      ),
    );
    const seen = new Set<string>();
    fc.assert(
      fc.property(wide, (value) => {
        for (const name of oddFieldsOf(value)) seen.add(name);
        expect(parseCase(formatCase(value))).toEqual(value);
      }),
      { seed: 42, numRuns: 300 },
    );
    expect([...seen].sort()).toEqual(newFields);
  });

  it('should take vectors in decimals and in hexadecimals, and write each in one way', () => {
    const vcpu = { vpIndex: 0, irr: '0x30-0x32,64', isr: '0xf0', autoEoi: '0x40' };
    const [plain, ...others] = ['0xfe', '254', 254].map((vector) => {
      return parseCase({ ...minimal, machine: { vcpus: [vcpu] }, steps: [{ ...call, vector }] });
    });

    expect(plain!.steps).toMatchObject([{ vector: 254 }]);
    expect(plain!.machine.vcpus[0]).toMatchObject({ irr: [48, 49, 50, 64], isr: [240], autoEoi: [64] });
    for (const other of others) expect(formatCase(other)).toBe(formatCase(plain!));
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
    expect(() => parseCase(withVcpu({ vpIndex: 4294967295, vcpuId: 4095, tpr: 15, irr: '16-255' }))).not.toThrow();
    expect(() => parseCase({ ...minimal, steps: times(64, call) })).not.toThrow();
    expect(() => parseCase({ ...minimal, machine: { vcpus: times(8, { vpIndex: 0 }) } })).not.toThrow();
    expect(() => parseCase(withVcpu({ vpIndex: 4294966272, vcpuId: 3072, count: 1024 }))).not.toThrow();
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
    ['1,025 vCPUs', { ...minimal, machine: { vcpus: times(1025, { vpIndex: 0 }) } }, /^machine\.vcpus: /],
    ['1,025 vCPUs in one', withVcpu({ vpIndex: 0, count: 1025 }), /^machine\.vcpus\[0\]\.count: /],
    [
      '1,025 vCPUs in two',
      { ...minimal, machine: { vcpus: [{ vpIndex: 0, count: 1024 }, { vpIndex: 0 }] } },
      /^machine\.vcpus: more than 1024 vCPUs$/,
    ],
    [
      'VP indexes that pass the end',
      withVcpu({ vpIndex: 4294967295, count: 2 }),
      /^machine\.vcpus: a VP index is above/,
    ],
    ['ids that pass the end', withVcpu({ vpIndex: 0, vcpuId: 4095, count: 2 }), /^machine\.vcpus: a vcpuId is above/],
    ['no vCPU of a kind', withVcpu({ vpIndex: 0, count: 0 }), /^machine\.vcpus\[0\]\.count: /],
    ['no VP index', withVcpu({}), /^machine\.vcpus\[0\]\.vpIndex: /],
    ['a VP index of 33 bits', withVcpu({ vpIndex: 4294967296 }), /^machine\.vcpus\[0\]\.vpIndex: /],
    ['an unknown APIC state', withVcpu({ vpIndex: 0, apic: 'off' }), /^machine\.vcpus\[0\]\.apic: /],
    ['an unknown vCPU field', withVcpu({ vpIndex: 0, ppr: 1 }), /^machine\.vcpus\[0\]: .*ppr/],
    ['no step', { ...minimal, steps: [] }, /^steps: /],
    ['65 steps', { ...minimal, steps: times(65, call) }, /^steps: /],
    ['vCPU id 4096', withVcpu({ vpIndex: 0, vcpuId: 4096 }), /^machine\.vcpus\[0\]\.vcpuId: /],
    ['a task priority of 5 bits', withVcpu({ vpIndex: 0, tpr: 16 }), /^machine\.vcpus\[0\]\.tpr: /],
    ['pending vector 256', withVcpu({ vpIndex: 0, irr: '256' }), /^machine\.vcpus\[0\]\.irr: 256 is above 255$/],
    [
      'a feature that is none',
      withVcpu({ vpIndex: 0, lacks: 'hyperv sse' }),
      /^machine\.vcpus\[0\]\.lacks: "sse" is none of hyperv, cluster-ipi, ex-masks, xmm-input$/,
    ],
    ['an unknown irqchip', withMachine({ irqchip: 'pic' }), /^machine\.irqchip: /],
    ['a GUEST_OS_ID that is a number', withMachine({ guestOsId: 1 }), /^machine\.guestOsId: /],
    ['an unknown mode', withStep({ ...call, mode: 'vm86' }), /^steps\[0\]\.mode: /],
    ['privilege level 4', withStep({ ...call, cpl: 4 }), /^steps\[0\]\.cpl: /],
    ['an MSR write without a value', withStep({ do: 'write-msr', msr: 'hypercall' }), /^steps\[0\]\.value: /],
    ['an unknown MSR', withStep({ do: 'write-msr', msr: 'eoi', value: '0x0' }), /^steps\[0\]\.msr: /],
    ['an APIC that is made an xAPIC', withStep({ do: 'set-apic', apic: 'xapic' }), /^steps\[0\]\.apic: /],
    ['a mode on init', withStep({ do: 'init', mode: 'long' }), /^steps\[0\]: .*mode/],
    ['an unknown step', withStep({ do: 'sleep' }), /^steps\[0\]\.do: /],
    ['no vector', withStep({ do: 'send-ipi' }), /^steps\[0\]\.vector: /],
    [
      'a vector in words',
      withStep({ ...call, vector: 'fe' }),
      /^steps\[0\]\.vector: not a vector, like "0xfe" or 254$/,
    ],
    ['a negative vector', withStep({ ...call, vector: -1 }), /^steps\[0\]\.vector: Too small/],
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

  it('should write nine like vCPUs or more as one, and read them back', () => {
    const first = [{ vpIndex: 7, apic: 'xapic' as const }];
    const like = Array.from({ length: 1000 }, (_, place) => ({ vpIndex: 100 + place }));
    const few = Array.from({ length: 8 }, (_, place) => ({ vpIndex: place, tpr: 1 }));
    const value = makeCase([...first, ...like, ...few], [makeStep({ do: 'run' })]);
    const text = formatCase(value);
    expect(text.split('\n').filter((line) => line.includes('vpIndex'))).toEqual([
      '      { "vpIndex": 7, "apic": "xapic" },',
      '      { "vpIndex": 100, "count": 1000 },',
      ...few.map(({ vpIndex }) => `      { "vpIndex": ${vpIndex}, "tpr": 1 }${vpIndex === 7 ? '' : ','}`),
    ]);
    expect(parseCase(text)).toEqual(value);
    // However it was written.
    expect(parseCase({ ...minimal, machine: { vcpus: [{ vpIndex: 3, count: 2 }] } })).toEqual(
      parseCase({ ...minimal, machine: { vcpus: [{ vpIndex: 3 }, { vpIndex: 4 }] } }),
    );
  });

  it('should write machine, vCPU, entry and changes as a person would', () => {
    const value = makeCase(
      [{ vcpuId: 7, lacks: ['xmm-input', 'ex-masks'], enforced: true, tpr: 3, irr: [16, 17, 255], isr: [64] }],
      [
        makeStep({ do: 'write-msr', msr: 'hypercall', value: 0xf0001n }),
        makeStep({ do: 'send-ipi', mode: 'compat', cpl: 3, page: 0xf0000n, rax: 11n }),
        makeStep({ do: 'send-ipi', opcode: 'other' }),
        makeStep({ do: 'set-apic', apic: 'software-disabled' }),
        makeStep({ do: 'init', note: 'at last' }),
      ],
      { irqchip: 'split', xen: true, guestOsId: 1n },
    );
    expect(formatCase(value)).toBe(`{
  "schema": "hvipi/case/1",
  "machine": {
    "irqchip": "split",
    "xen": true,
    "guestOsId": "0x1",
    "vcpus": [
      { "vpIndex": 0, "vcpuId": 7, "lacks": "xmm-input ex-masks", "enforced": true, "tpr": 3, "irr": "16-17,255", "isr": "64" }
    ]
  },
  "steps": [
    { "do": "write-msr", "msr": "hypercall", "value": "0xf0001" },
    { "do": "send-ipi", "mode": "compat", "cpl": 3, "page": "0xf0000", "vector": "0xfe", "rax": "0xb" },
    { "do": "send-ipi", "opcode": "other", "vector": "0xfe" },
    { "do": "set-apic", "apic": "software-disabled" },
    { "do": "init", "note": "at last" }
  ]
}
`);
  });

  it('should keep the features that a vCPU lacks in the order of the vocabulary, once each', () => {
    const lacks = 'xmm-input  hyperv xmm-input';
    expect(parseCase(withVcpu({ vpIndex: 0, lacks })).machine.vcpus[0]!.lacks).toEqual(['hyperv', 'xmm-input']);
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

/** Fields beyond the plainest machine and call, and kinds of steps, that a generated case may have. */
const newFields =
  'cpl enforced guestOsId idle init irqchip irr isr lacks mode opcode page rax set-apic tpr vcpuId write-msr xen'.split(
    ' ',
  );

/** Which of them a case has, by its text. */
function oddFieldsOf(value: Case): string[] {
  const { machine, steps } = toJson(value);
  const names = [machine, ...machine.vcpus, ...steps].flatMap((part) => Object.keys(part));
  return [...names, ...value.steps.map((step) => step.do)].filter((name) => newFields.includes(name));
}

function times(count: number, value: object): object[] {
  return Array.from({ length: count }, () => value);
}

function defaults() {
  return {
    sender: 0,
    mode: 'long',
    cpl: 0,
    page: null,
    opcode: 'native',
    rflags: 'plain',
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
    rax: 0xa5c3_e100_5a3c_1e00n,
    note: '',
    targets: [],
  };
}

function setDefaults() {
  return { format: 0n, emptyBanks: [], maskFlips: [] };
}
