/** Programs as scripts: which operations run vCPUs, wait for them and compare, in which order. */
import { describe, expect, it } from 'vitest';
import { type Case, type CallStep, makeCase, makeStep, type Step, type VcpuSetup } from '../../../src/case/case.ts';
import type { RunOptions } from '../../../src/executor/executor.ts';
import { KvmExecutor } from '../../../src/executor/kvm-executor.ts';
import { KVM_SET_MSRS } from '../../../src/hand/uapi.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import { decodeScript, outlineOf } from '../../hand/decode.ts';
import { QuietHand } from '../../hand/quiet-hand.ts';

/** How state and memory are brought to where a program starts is not told here: it shows in the lab, by what comes of it. */
const filling = new Set(['keep', 'put', 'write', 'writeKept', 'writeAndExpect', 'zero', 'ioctlKept']);

/** The operations of a program's case on a VM that has run it before. */
async function operationsOf(value: Case, options: RunOptions = { exact: false }): Promise<string[]> {
  const hand = new QuietHand();
  const executor = await KvmExecutor.open(hand, 'lab');
  const program = encodeCase(value);
  await executor.run([program], options);
  await executor.run([program], options);
  const all = outlineOf(hand.scripts.at(-1)!).filter((line) => !filling.has(line.trim()));
  const cases = all
    .join('\n')
    .split(/^case$/m)
    .filter((text) => /^\s*(run|start)$/m.test(text));
  expect(cases).toHaveLength(1);
  return cases[0]!.split('\n').filter((line) => line !== '');
}

const call = (fields: Partial<Extract<CallStep, { do: 'send-ipi' }>> = {}) =>
  makeStep({ do: 'send-ipi', vector: 0x40, targets: [1], ...fields });
const caseOf = (steps: Step[], second: Partial<VcpuSetup> = {}, machine: Partial<Case['machine']> = {}) =>
  makeCase([{ vpIndex: 0 }, { vpIndex: 1, ...second }], steps, machine);
/** What comes of calls, and the exit that must have been expected behind it. */
const results = ['diff', 'diff', 'diff'];
const lapics = ['ioctlDiff', 'ioctlDiff'];
/** MP state, registers, special ones, XSAVE area, debug registers, LAPIC, MSRs and events are eight. */
const moves = (count: number): string[] => Array<string>(count).fill('ioctlMove');

describe('a program as a script', () => {
  it('should run calls of one sender at once, and compare what came of them', async () => {
    expect(await operationsOf(caseOf([call(), call({ fast: true })]))).toEqual([
      'run',
      ...results,
      'settle',
      ...lapics,
    ]);
  });

  it('should compare LAPICs behind each step of an exact run, and make it a run of its own', async () => {
    const operations = await operationsOf(caseOf([call(), call({ fast: true })]), { exact: true });
    const behind = operations.slice(operations.indexOf('run'));
    const step = ['run', ...results, 'settle', ...lapics];
    expect(behind).toEqual([...step, ...step, ...lapics]);
  });

  it('should compare LAPICs at the end alone in a quiet exact run', async () => {
    const operations = await operationsOf(caseOf([call(), call({ fast: true })]), { exact: true, quiet: true });
    expect(operations.slice(operations.indexOf('run'))).toEqual(['run', ...results, 'settle', ...lapics]);
  });

  // The quiet hand's CPU is none of AMD's.
  it.each([
    ['ran without an APIC', { apic: 'hardware-disabled' } as const, 3],
    ['ran with a disabled one', { apic: 'software-disabled' } as const, 1],
  ])('should run a vCPU that %s so often before and in a program that disables it', async (_, caller, runs) => {
    const operations = await operationsOf(makeCase([{ vpIndex: 0, ...caller }, { vpIndex: 1 }], [call()]));
    expect(operations.filter((name) => name === 'run')).toHaveLength(runs);
  });

  it('should enter the guest for a call from another mode, in the way that its page begins', async () => {
    const body = ['  enter', '  run', '  registersDiff', '  ifPort', '    readAtRegister', '  ioctlDiff'];
    const operations = await operationsOf(caseOf([call({ mode: 'protected32', page: 0xf0000n })]));
    const withoutFilling = operations.filter((line) => !line.startsWith('ioctlPatch'));
    expect(withoutFilling).toEqual(['ifBytes', ...body, 'ifBytes', ...body, ...lapics]);
  });

  it('should run a receiver for each act, and take its log behind it', async () => {
    const acts = [
      makeStep({ do: 'act', vcpu: 1, act: 'enter' }),
      makeStep({ do: 'act', vcpu: 1, act: 'eoi', by: 'hv-msr' }),
    ];
    expect(await operationsOf(caseOf([call(), ...acts]))).toEqual([
      'run',
      ...results,
      'settle',
      'run',
      'takeLog',
      'run',
      'takeLog',
      ...lapics,
    ]);
  });

  it('should move the state of each vCPU and of the VM into another one, which takes its numbers', async () => {
    const operations = await operationsOf(caseOf([call(), makeStep({ do: 'migrate' }), call()]));
    const vcpu = ['completeExit', ...moves(9)];
    const made = ['run', ...results, 'settle'];
    expect(operations).toEqual([...made, ...vcpu, ...vcpu, ...moves(1), 'swapVms', ...made, ...lapics]);
  });

  it('should let a VMM run vCPUs in vain, but not one that waits with interrupts on, nor one that got INIT', async () => {
    const interrupt = makeStep({ do: 'vmm', does: 'interrupt' });
    const counts = async (steps: Step[]): Promise<number> =>
      (await operationsOf(caseOf(steps))).filter((name) => name === 'interruptedRun').length;
    expect(await counts([interrupt, call()])).toBe(2);
    expect(await counts([makeStep({ do: 'act', vcpu: 1, act: 'wait' }), interrupt, call()])).toBe(1);
    expect(await counts([makeStep({ do: 'init', vcpu: 1 }), interrupt, call()])).toBe(1);
    // Nor where a program before this one left it waiting.
    const left = await operationsOf(caseOf([interrupt, call(), makeStep({ do: 'act', vcpu: 1, act: 'wait' })]));
    expect(left.slice(0, 3)).toEqual(['interruptedRun', 'enter', 'interruptedRun']);
  });

  it('should give memory to the VM once more where a VMM changes memslots, and end dirty logging with the program', async () => {
    const slots = async (...deeds: ('log-dirty' | 'move' | 'remake')[]): Promise<number> => {
      const steps = deeds.map((does) => makeStep({ do: 'vmm', does }));
      return (await operationsOf(caseOf([...steps, call()]))).filter((name) => name === 'memslot').length;
    };
    expect(await slots('move')).toBe(4);
    expect(await slots('remake')).toBe(4);
    expect(await slots('log-dirty', 'log-dirty')).toBe(4);
  });

  it('should disturb who runs in a race with signals, behind a first KVM_RUN without', async () => {
    const steps = [call(), makeStep({ do: 'vmm', does: 'interrupt' }), makeStep({ do: 'run' })];
    const operations = await operationsOf(caseOf(steps, { idle: 'halted' }, { schedule: 1 }));
    expect(operations.filter((name) => name === 'disturb')).toHaveLength(2);
    expect(operations.indexOf('completeExit')).toBeLessThan(operations.indexOf('start'));
  });

  it('should make that VM anew for an exact run, and drop the one that was left', async () => {
    const operations = await operationsOf(caseOf([makeStep({ do: 'migrate' }), call()]), { exact: true });
    const from = operations.indexOf('createTwin');
    const until = operations.indexOf('swapVms');
    const made = ['createTwin', 'ioctlValue', 'ioctlValue', 'memslot', 'memslot', 'createVcpu', 'createVcpu'];
    expect(operations.slice(from, from + made.length)).toEqual(made);
    expect(operations.slice(until, until + 2)).toEqual(['swapVms', 'dropVm']);
  });

  it('should take what was left in service out of a vCPU before its state is moved there again', async () => {
    const steps = [call(), makeStep({ do: 'migrate' }), makeStep({ do: 'migrate' })];
    const first = (await operationsOf(caseOf(steps, { eoi: 'none' }))).filter((name) => name === 'ioctlMove');
    const plain = (await operationsOf(caseOf(steps))).filter((name) => name === 'ioctlMove');
    expect(first.length - plain.length).toBe(4);
  });

  it('should bring vCPUs that halt out, and have them halt again behind it', async () => {
    const halts = ['start', 'waitForWord'];
    const fence = ['fetch', 'exit', 'run'];
    const operations = await operationsOf(caseOf([makeStep({ do: 'migrate' })], { idle: 'halted' }));
    const vcpu = ['completeExit', ...moves(9)];
    expect(operations).toEqual([
      ...halts,
      ...fence,
      ...vcpu,
      ...vcpu,
      ...moves(1),
      'swapVms',
      ...halts,
      ...fence,
      'takeLog',
      ...halts,
      ...fence,
      ...lapics,
    ]);
  });

  it('should complete what an exit left to do before INIT and a start-up IPI, and read what came of those', async () => {
    const steps = [call(), makeStep({ do: 'init', vcpu: 1 }), makeStep({ do: 'sipi', vcpu: 1, page: 3 })];
    const operations = await operationsOf(caseOf(steps));
    const sent = ['completeExit', 'ioctl', 'ioctl'];
    // The last one reads the special registers.
    const own = operations.slice(operations.indexOf('settle') + 1);
    expect(own).toEqual([...sent, ...sent, 'ioctl', ...lapics]);
  });

  it('should read an MSR as the host, and in the guest by a run and a word of memory', async () => {
    const read = (by: 'host' | 'guest') => makeStep({ do: 'read-msr', vcpu: 1, msr: 'vp-index', by });
    const operations = await operationsOf(caseOf([call(), read('host'), read('guest')]));
    expect(operations).toEqual(['run', ...results, 'settle', 'ioctl', 'run', 'readWord', ...lapics]);
  });

  it('should fence a step among vCPUs that halt', async () => {
    const halts = ['start', 'waitForWord'];
    const fence = ['fetch', 'exit', 'run'];
    expect(await operationsOf(caseOf([call()], { idle: 'halted' }))).toEqual([
      ...halts,
      'run',
      ...results,
      'settle',
      ...fence,
      'takeLog',
      ...halts,
      ...fence,
      ...lapics,
    ]);
  });

  it('should let a vCPU halt once where it has something to take, and fetch it where it does not wake up', async () => {
    const waits = [makeStep({ do: 'act', vcpu: 1, act: 'wait', at: 'hlt' }), call(), makeStep({ do: 'run' })];
    const fetched = ['    stop', '    ioctl', '    enter', '    run'];
    expect(await operationsOf(caseOf(waits))).toEqual([
      'run',
      ...results,
      'settle',
      // The sender, which is parked as well, opens its window.
      'run',
      'noteDeliverable',
      'ifNoted',
      '  run',
      'ifNoted',
      '  start',
      '  waitForWakeUp',
      ...fetched,
      '  exit',
      'takeLog',
      'takeLog',
      ...lapics,
    ]);
  });

  it('should start a race, wait for all, stop them, and look at what is left before anybody does something', async () => {
    const steps = [call(), makeStep({ do: 'run' })];
    const state = ['  registersDiff', '  ioctl', '  ioctlDiff'];
    expect(await operationsOf(caseOf(steps, { idle: 'halted' }, { schedule: 7 }))).toEqual([
      // By this schedule the receiver sleeps before the sender starts.
      'enter',
      'start',
      'wait',
      'enter',
      'start',
      // For the sender's end, then for the receiver's sleep.
      'wait',
      'wait',
      'stop',
      'stop',
      ...results,
      'ifMissed',
      ...state,
      ...state,
      '  giveUp',
      'exit',
      'settle',
      'ifPending',
      ...state,
      ...state,
      // Who has something left opens its window; the receiver is brought back from `hlt` for that.
      'ifPending',
      '  enter',
      '  run',
      'ioctl',
      'ifPending',
      '  enter',
      '  run',
      'takeLog',
      'takeLog',
      ...lapics,
    ]);
  });

  it.each([
    ['a small one', 5n],
    ['one of which KVM takes the lower half', 0x1_0000_0003n],
    ['one that KVM refuses', 0xffffn],
  ])('should write its own VP index before that of the next program where a step wrote %s', async (_, value) => {
    const hand = new QuietHand();
    const executor = await KvmExecutor.open(hand, 'lab');
    const step = makeStep({ do: 'write-msr', vcpu: 1, msr: 'vp-index', value });
    await executor.run([encodeCase(caseOf([step]))], { exact: false });
    // KVM refuses it, so that what was there would stay.
    await executor.run([encodeCase(caseOf([makeStep({ do: 'run' })], { vpIndex: 0xffff }))], { exact: false });
    const msrs = decodeScript(hand.scripts.at(-1)!).filter(
      ({ name, fields }) => name === 'ioctl' && fields['request'] === KVM_SET_MSRS,
    );
    const counts = msrs.map(({ fields }) => (fields['argument'] as Buffer).readUInt32LE(0));
    expect(counts).toEqual([2]);
  });
});
