/** The points of the spaces that are walked completely (`spaces.ts`). */
import { bankCountMax, controlWord, vpsPerBank } from '../../src/abi/hypercall.ts';
import { fieldOf, maxOf } from '../../src/abi/layout.ts';
import { type CallStep, type Machine, makeStep, type Step, type VcpuSetup } from '../../src/case/case.ts';
import { caseLimits, cpuidFeatures } from '../../src/case/limits.ts';
import { arenaStart, isAllowedGpa, ramEnd, romEnd } from '../../src/case/memory.ts';
import { callModes, isRealMode } from '../../src/case/steps/environment.ts';
import { isAllowedCallCode } from '../../src/case/steps/call.ts';

/** Steps of which the last is the call; a vector of null is the next legal one. */
export interface Point {
  readonly before?: readonly Step[];
  readonly call: Partial<CallStep> & Pick<CallStep, 'do'>;
  readonly vector: number | null;
}

/** Points of one machine. */
export interface Region {
  readonly vcpus: readonly Partial<VcpuSetup>[];
  readonly machine?: Partial<Omit<Machine, 'vcpus'>>;
  /** Whether parked vCPUs take what is pending when a case ends. */
  readonly runs?: true;
  readonly points: Iterable<Point>;
}

export const two = [{ vpIndex: 0 }, { vpIndex: 1 }];
const headerMax = Number(maxOf(fieldOf(controlWord, 'variableHeaderSize').bits));
const repMax = Number(maxOf(fieldOf(controlWord, 'repCount').bits));
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const banks = (count: number): number[] => range(0, count - 1);
/** A vector that is too small, one that is too large, and a legal one. */
const vectorKinds = [null, 0x0f, 0x100] as const;
/** Both calls, slow and fast, to VPs 0 and 1. */
const forms: readonly (Partial<CallStep> & Pick<CallStep, 'do'>)[] = (['send-ipi', 'send-ipi-ex'] as const).flatMap(
  (kind) => [false, true].map((fast) => ({ do: kind, fast, targets: [0, 1] })),
);

export function* headerPoints(): Generator<Point> {
  for (const fast of [false, true]) {
    for (const format of [0n, 1n, 2n]) {
      for (const count of range(0, bankCountMax)) {
        for (const variableHeader of range(0, headerMax)) {
          for (const vector of [null, 0x100]) {
            const call = { do: 'send-ipi-ex', fast, format, emptyBanks: banks(count), variableHeader } as const;
            yield { call, vector };
          }
        }
      }
    }
  }
}

export function* setPoints(): Generator<Point> {
  const formats = [0n, 1n, 2n, 3n, 1n << 32n, (1n << 32n) | 1n, 1n << 63n, maxOf(64)];
  for (const fast of [false, true]) {
    for (const format of formats) {
      for (const count of range(0, bankCountMax)) {
        for (const change of [-2, -1, 0, 1, 2]) {
          if (count + change < 0) continue;
          for (const vector of vectorKinds) {
            // Bank 0 names VPs 0 and 1, the others nobody.
            const set = { targets: count === 0 ? [] : [0, 1], emptyBanks: banks(count).slice(1) };
            yield { call: { do: 'send-ipi-ex', fast, format, ...set, variableHeader: count + change }, vector };
          }
        }
      }
    }
  }
}

export function* controlBitPoints(): Generator<Point> {
  const all = range(0, controlWord.bits - 1);
  const pairs = all.flatMap((bit) => all.slice(bit + 1).map((other) => [bit, other]));
  for (const mode of ['long', 'compat', 'protected32'] as const) {
    for (const form of forms) {
      for (const controlBits of [...all.map((bit) => [bit]), ...pairs]) {
        if (isAllowedCallCode(form.do, controlBits)) yield { call: { ...form, mode, controlBits }, vector: null };
      }
    }
  }
}

export function* repPoints(): Generator<Point> {
  for (const form of forms) {
    for (const one of range(0, repMax)) {
      for (const other of [0, 1, repMax]) {
        yield { call: { ...form, repCount: one, repStart: other }, vector: null };
        yield { call: { ...form, repCount: other, repStart: one }, vector: null };
      }
    }
  }
}

export function* vectorPoints(): Generator<Point> {
  const all = { do: 'send-ipi-ex', format: 1n } as const;
  for (const form of [...forms, all, { ...all, fast: true }]) {
    for (const vector of [...range(0, 0x1ff), ...range(9, 31).map((bit) => 2 ** bit), 2 ** 32 - 1]) {
      yield { call: form, vector };
    }
  }
}

export function* vpIndexPoints(): Generator<Point> {
  for (const vp of range(0, caseLimits.vpNumber - 1)) {
    const bank = Math.floor(vp / vpsPerBank);
    const others = range(0, bankCountMax - 1).filter((other) => other !== bank);
    const move = makeStep({ do: 'write-msr', vcpu: 1, msr: 'vp-index', value: BigInt(vp) });
    const calls = [
      { targets: [vp] },
      { targets: [vp ^ 1] },
      { targets: [vp], fast: true },
      { targets: [vp ^ 32], fast: true },
      { targets: [vp], emptyBanks: others },
    ];
    for (const [index, call] of calls.entries()) {
      yield { before: index === 0 ? [move] : [], call: { do: 'send-ipi-ex', ...call }, vector: null };
    }
  }
}

export function* maskPairPoints(): Generator<Point> {
  for (const low of range(0, bankCountMax - 1)) {
    for (const high of range(low + 1, bankCountMax - 1)) {
      for (const [target, empty] of [
        [low, high],
        [high, low],
      ] as const) {
        const vp = target * vpsPerBank + (low % vpsPerBank);
        const move = makeStep({ do: 'write-msr', vcpu: 1, msr: 'vp-index', value: BigInt(vp) });
        const call: Point['call'] = { do: 'send-ipi-ex', targets: [vp], emptyBanks: [empty] };
        yield { before: [move], call, vector: null };
        yield { call: { ...call, fast: true }, vector: null };
      }
    }
  }
}

export function* addressPoints(): Generator<Point> {
  const pageEnd = arenaStart + 0x11000n;
  for (const end of [pageEnd, ramEnd, romEnd]) {
    for (const before of range(-16, 24 + 8 * bankCountMax + 8)) {
      const gpa = end - BigInt(before);
      if (!isAllowedGpa(gpa)) continue;
      yield { call: { do: 'send-ipi', gpa, targets: [0, 1] }, vector: null };
      for (const count of range(0, bankCountMax)) {
        const set = { targets: count === 0 ? [] : [0, 1], emptyBanks: banks(count).slice(1) };
        yield { call: { do: 'send-ipi-ex', gpa, ...set }, vector: null };
      }
    }
  }
}

export function* environmentRegions(): Generator<Region> {
  for (const guestOsId of [undefined, 0n]) {
    for (const xen of [false, true]) {
      const machine = { xen, ...(guestOsId === undefined ? {} : { guestOsId }) };
      yield { vcpus: two, machine, points: environmentPoints() };
    }
  }
}

function* environmentPoints(): Generator<Point> {
  for (const mode of callModes) {
    for (const cpl of isRealMode(mode) ? [0] : range(0, 3)) {
      for (const opcode of ['native', 'other'] as const) {
        for (const form of forms) {
          for (const vector of vectorKinds) {
            for (const controlBits of [[], [31], [63]]) {
              yield { call: { ...form, mode, cpl, opcode, controlBits }, vector };
            }
          }
        }
      }
    }
  }
}

export function* cpuidRegions(): Generator<Region> {
  for (const enforced of [false, true]) {
    for (const bits of range(0, 2 ** cpuidFeatures.length - 1)) {
      const lacks = cpuidFeatures.filter((_, bit) => (bits >> bit) & 1);
      yield { vcpus: [{ vpIndex: 0, lacks, enforced }, { vpIndex: 1 }], points: mistakePoints() };
    }
  }
}

function* mistakePoints(): Generator<Point> {
  const mistakes: readonly Partial<CallStep>[] = [
    {},
    { controlBits: [31] },
    { controlBits: [63] },
    { controlBits: [5] },
    { repCount: 1 },
    { repStart: 1 },
    { variableHeader: 12 },
    { gpa: ramEnd },
    { targetVtl: 0x10 },
  ];
  for (const form of forms) {
    for (const mistake of mistakes) {
      for (const cpl of [0, 3]) {
        for (const vector of vectorKinds) {
          yield { call: { ...form, ...mistake, cpl }, vector };
        }
      }
    }
  }
}

export function* priorityRegions(): Generator<Region> {
  const ends = range(1, 15).flatMap((level) => [16 * level, 16 * level + 15]);
  for (const tpr of range(0, 15)) {
    for (const isr of [[], ...range(1, 15).map((level) => [16 * level + 7])]) {
      const points = ends.map((vector): Point => ({ call: { do: 'send-ipi', targets: [1] }, vector }));
      yield { vcpus: [{ vpIndex: 0 }, { vpIndex: 1, tpr, isr }], runs: true, points };
    }
  }
}
