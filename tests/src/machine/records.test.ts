/** Records made by hand as observations: what a program's readers make of what a KVM did otherwise than it should. */
import { describe, expect, it, vi } from 'vitest';
import { type CallStep, makeCase, makeStep, type Step, type VcpuSetup } from '../../../src/case/case.ts';
import { InfrastructureError } from '../../../src/errors.ts';
import { KvmExecutor } from '../../../src/executor/kvm-executor.ts';
import { area, resultBytes, resultEntry, ringEntry, ringEntryBytes, vcpuArea } from '../../../src/guest/memory-map.ts';
import type { Ending } from '../../../src/hand/operations.ts';
import { KVM_EXIT_XEN } from '../../../src/hand/uapi.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import type { Observation } from '../../../src/program/observation.ts';
import type { Program } from '../../../src/program/program.ts';
import type { DecodedOperation } from '../../hand/decode.ts';
import { outlineOf } from '../../hand/decode.ts';
import { type Answering, QuietHand } from '../../hand/quiet-hand.ts';

const call = (fields: Partial<Extract<CallStep, { do: 'send-ipi' }>> = {}) =>
  makeStep({ do: 'send-ipi', vector: 0x40, targets: [1], ...fields });
const programOf = (steps: Step[], second: Partial<VcpuSetup> = {}): Program =>
  encodeCase(makeCase([{ vpIndex: 0 }, { vpIndex: 1, ...second }], steps));
const ring = vcpuArea(0);

/** Runs programs on a hand that gives these answers. */
async function run(programs: Program[], answering: Answering): Promise<{ seen: Observation[]; hand: QuietHand }> {
  const hand = new QuietHand();
  const executor = await KvmExecutor.open(hand, 'lab');
  hand.answering = answering;
  return { seen: await executor.run(programs, { exact: false }), hand };
}

/** The answer to the first operation that a test is true for. */
function once(test: (operation: DecodedOperation) => boolean, hex: string, ending?: Ending): Answering {
  let isGiven = false;
  return (operation) => {
    if (isGiven || !test(operation)) return null;
    isGiven = true;
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    return ending === undefined ? { bytes } : { bytes, ending };
  };
}

/** The first of several that has an answer. */
function either(...all: Answering[]): Answering {
  return (operation, number) =>
    all.reduce<ReturnType<Answering>>((found, each) => found ?? each(operation, number), null);
}

const isDiffAt =
  (offset: number) =>
  ({ name, fields }: DecodedOperation): boolean =>
    name === 'diff' && fields['offset'] === offset;

/** A count and words of memory as `diff` records them. */
function words(...all: readonly { at: number; was: bigint; is: bigint }[]): string {
  const bytes = Buffer.alloc(2 + 20 * all.length);
  bytes.writeUInt16LE(all.length, 0);
  for (const [index, { at, was, is }] of all.entries()) {
    bytes.writeUInt32LE(at, 2 + 20 * index);
    bytes.writeBigUInt64LE(was, 6 + 20 * index);
    bytes.writeBigUInt64LE(is, 14 + 20 * index);
  }
  return bytes.toString('hex');
}

function word(value: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt32LE(value, 0);
  return bytes.toString('hex');
}

/** An exit that is neither port: reason, minus errno, port, and registers with RIP at 0. */
function unexpected(reason: number, error = 0, port = 0): string {
  const bytes = Buffer.alloc(12 + 144);
  bytes.writeUInt8(2, 0);
  bytes.writeUInt32LE(reason, 2);
  bytes.writeInt32LE(error, 6);
  bytes.writeUInt16LE(port, 10);
  return bytes.toString('hex');
}

const isRun = ({ name }: DecodedOperation) => name === 'run';
const isSettle = ({ name }: DecodedOperation) => name === 'settle';

describe('a record', () => {
  it('should be calls that returned 0 and changed nothing where nothing differs', async () => {
    const { seen } = await run([programOf([call(), call()])], () => null);
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ stopped: null, memory: [], lapics: [new Map(), new Map()] });
    for (const step of seen[0]!.steps) {
      expect(step).toMatchObject({ result: 0n, exception: null, exit: null, registers: [] });
    }
  });

  it('should give the result of a call and the registers that it changed', async () => {
    const results = ring + area.results + resultBytes;
    const output = ring + area.ring + ringEntryBytes + ringEntry.output;
    const { seen } = await run(
      [programOf([call(), call()])],
      either(
        once(isDiffAt(ring + area.results), words({ at: results + resultEntry.rax, was: 0n, is: 5n })),
        once(isDiffAt(ring + area.ring + ringEntry.output), words({ at: output + 8, was: 7n, is: 9n })),
      ),
    );
    const [first, second] = seen[0]!.steps;
    expect(first).toMatchObject({ result: 0n, registers: [] });
    expect(second!.result).toBe(5n);
    expect(second!.registers).toHaveLength(1);
    expect(second!.registers[0]).toMatchObject({ before: 7n, after: 9n });
  });

  it('should give an exception by its vector', async () => {
    const results = ring + area.results;
    const raised = words({ at: results + resultEntry.exception, was: 33n, is: 7n });
    const { seen } = await run([programOf([call()])], once(isDiffAt(results), raised));
    expect(seen[0]!.steps[0]).toMatchObject({ result: null, exception: { vector: 6 } });
  });

  it('should say of which call it was that the VMM answered it', async () => {
    const second = ring + area.ring + ringEntryBytes;
    const exits = `00 01 ${KVM_EXIT_XEN.toString(16)} ${word(second)}`;
    const { seen } = await run([programOf([call(), call(), call()])], once(isRun, exits));
    expect(seen[0]!.steps.map(({ exit }) => exit)).toEqual([null, 'xen', null]);
  });

  it('should have no code where a page does not begin as one of KVM does', async () => {
    const { seen } = await run([programOf([call({ mode: 'protected32', page: 0xf0000n })])], () => null);
    expect(seen[0]!.steps[0]).toMatchObject({ result: null, exception: null, exit: 'no-code' });
  });

  it('should end where its vCPU made another exit, with the calls that were done', async () => {
    const second = ring + area.ring + ringEntryBytes;
    const { seen } = await run(
      [programOf([call(), call()]), programOf([call()])],
      either(
        once(isRun, unexpected(8)),
        once(isDiffAt(ring + area.cursor), words({ at: ring + area.cursor, was: 0n, is: BigInt(second) })),
        once(isSettle, '', 'unexpected'),
      ),
    );
    expect(seen[0]!.stopped).toMatch(/^vCPU 0: KVM_EXIT_SHUTDOWN at hypercall instruction -0x/);
    expect(seen[0]!.steps).toHaveLength(1);
    expect(seen[1]).toMatchObject({ stopped: null });
  });

  it('should be followed by a reset where a program ended otherwise', async () => {
    const hand = new QuietHand();
    const executor = await KvmExecutor.open(hand, 'lab');
    const program = programOf([call()]);
    hand.answering = either(once(isRun, unexpected(8)), once(isSettle, '', 'unexpected'));
    await executor.run([program], { exact: false });
    const before = hand.scripts.length;
    await executor.run([program], { exact: false });
    const behind = hand.scripts.slice(before).map(outlineOf);
    // Alone, because a script fills slots before it does anything else.
    expect(behind[0]).toEqual(['case', 'reset']);
    expect(behind[1]!.filter((name) => name === 'createVm')).toHaveLength(1);
    await executor.run([program], { exact: false });
    expect(hand.scripts).toHaveLength(before + 3);
    expect(outlineOf(hand.scripts.at(-1)!)).not.toContain('createVm');
  });

  it('should be a stopped program where a vCPU is not brought up to date', async () => {
    const hand = new QuietHand();
    const executor = await KvmExecutor.open(hand, 'lab');
    const program = encodeCase(makeCase([{ vpIndex: 0, apic: 'hardware-disabled' }], [call()]));
    await executor.run([program], { exact: false });
    // The first KVM_RUN of a vCPU that ran without an APIC is for that.
    hand.answering = once(isRun, unexpected(9), 'unexpected');
    const [seen] = await executor.run([program], { exact: false });
    expect(seen).toMatchObject({ vpIndexes: [0], steps: [], lapics: [] });
    expect(seen!.stopped).toMatch(/^vCPU 0: KVM_EXIT_FAIL_ENTRY at /);
  });

  it('should tell a guest that takes interrupts without end', async () => {
    const { seen } = await run(
      [programOf([makeStep({ do: 'run' })])],
      once(isRun, unexpected(2, 0, 0x11), 'unexpected'),
    );
    expect(seen[0]!.stopped).toBe('vCPU 0: interrupts without end');
  });

  it('should tell what KVM_RUN failed with', async () => {
    const { seen } = await run([programOf([makeStep({ do: 'run' })])], once(isRun, unexpected(0, -14), 'unexpected'));
    expect(seen[0]!.stopped).toMatch(/^vCPU 0: KVM_RUN failed with errno 14 at /);
  });

  it.each<[DecodedOperation['name'], string]>([
    ['waitForWord', 'vCPU 1 does not come to hlt'],
    ['fetch', 'vCPU 1 does not wake up from hlt'],
  ])('should say which vCPU was lost where %s has nothing', async (name, stopped) => {
    const program = programOf([call()], { idle: 'halted' });
    const { seen } = await run(
      [program],
      once((operation) => operation.name === name, '', 'lost'),
    );
    expect(seen[0]!.stopped).toBe(stopped);
  });

  it('should have nothing behind a program that made no exit', async () => {
    const program = programOf([makeStep({ do: 'run' })]);
    const { seen } = await run([program, program], once(isRun, unexpected(10, -4), 'endless'));
    expect(seen).toHaveLength(1);
    expect(seen[0]!.stopped).toMatch(/^vCPU 0: no exit from KVM_RUN at /);
  });

  it('should run programs again that were left out because of another one', async () => {
    const program = programOf([call()]);
    const skipped = once(({ name }) => name === 'zero' || name === 'ioctlKept', '', 'skipped');
    const { seen, hand } = await run([program, program], skipped);
    expect(seen.map(({ stopped }) => stopped)).toEqual([null, null]);
    expect(hand.scripts.length).toBeGreaterThan(4);
  });

  it('should be an error of ours where an ioctl fails that must not', async () => {
    const failure = '8fae0044 0c000000';
    const failing = run(
      [programOf([call()])],
      once(({ name }) => name === 'ioctlKept', failure, 'failed'),
    );
    await expect(failing).rejects.toEqual(new InfrastructureError('KVM_SET_LAPIC failed with errno 12'));
  });

  it('should be followed by a reset where the hand refused a script', async () => {
    const hand = new QuietHand();
    const executor = await KvmExecutor.open(hand, 'lab');
    const program = programOf([call()]);
    const refused = vi.spyOn(hand, 'run').mockRejectedValueOnce(new InfrastructureError('the hand: no such slot'));
    await expect(executor.run([program], { exact: false })).rejects.toThrow('no such slot');
    refused.mockRestore();
    const before = hand.scripts.length;
    const [seen] = await executor.run([program], { exact: false });
    expect(outlineOf(hand.scripts[before]!)).toEqual(['case', 'reset']);
    expect(seen).toMatchObject({ stopped: null });
  });

  it('should count what memory and LAPICs hold that they should not', async () => {
    const isLapic = ({ name }: DecodedOperation) => name === 'ioctlDiff';
    const { seen } = await run(
      [programOf([call()])],
      either(
        once(isLapic, '0100 2002 01000000'),
        once(({ name, fields }) => name === 'diff' && fields['restore'] === 1, words({ at: 0x10, was: 1n, is: 2n })),
      ),
    );
    expect(seen[0]!.lapics).toEqual([new Map([[0x220, 1]]), new Map()]);
    expect(seen[0]!.memory).toEqual([
      { gpa: 0x10n, before: Buffer.from(word(1), 'hex'), after: Buffer.from(word(2), 'hex') },
    ]);
  });
});
