/** A vCPU that makes no exit is given up by the hand's watchdog: here one whose guest jumps to itself. */
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeCase, makeStep } from '../../src/case/case.ts';
import { casesOfRecord } from '../../src/hand/record.ts';
import { encodePatches, Script } from '../../src/hand/script.ts';
import { regs, sizes } from '../../src/hand/uapi.ts';
import { LabHand } from '../../src/lab/lab-hand.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { isLabMissing, openTestLab } from './support.ts';

/** Above what programs and spare VMs have. */
const numbers = { vm: 63, vcpu: 4095, slot: 16000 };
const jumpToItself = Buffer.from([0xeb, 0xfe]);

/** Runs that guest in real mode, from address 0; then a case that must not be reached. */
function endlessScript(): Buffer {
  const script = new Script();
  const { vm, vcpu, slot } = numbers;
  script.case(0);
  // CS: base 0, selector 0 (struct kvm_segment: base at 0, selector at 12).
  const patches = [
    { offset: 0, bytes: Buffer.alloc(8) },
    { offset: 12, bytes: Buffer.alloc(2) },
  ];
  script.keep(slot, encodePatches(patches));
  script.add('createVm', { vm, memoryBytes: 4096 });
  script.add('memslot', { vm, slot: 0, flags: 0, gpa: 0n, size: 4096, offset: 0 });
  script.add('write', { vm, where: 1, offset: 0, bytes: jumpToItself });
  script.add('createVcpu', { vcpu, vm, id: 0, regs: 1 });
  const general = Buffer.alloc(sizes.kvm_regs);
  general.writeBigUInt64LE(2n, regs.rflags);
  script.add('enter', { vcpu, specialPatches: slot, general });
  script.add('run', { vcpu, thread: 0, port: 1, otherPort: 1, answer: 0, watch: 0, lenient: 0 });
  script.case(1);
  script.add('dropVm', { vm, later: 0 });
  return script.finish();
}

describe.skipIf(isLabMissing)('a guest that makes no exit', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await openTestLab('debian:6.12');
  });
  afterAll(async () => lab[Symbol.asyncDispose]());

  it('should be given up after a second, with nothing run behind it', async () => {
    const records: Buffer[] = [];
    vi.spyOn(LabHand.prototype, 'run').mockImplementation(async function (this: LabHand, _, patienceMs) {
      vi.restoreAllMocks();
      records.push(await this.run(endlessScript(), patienceMs));
      return records[0]!;
    });
    const program = encodeCase(makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi' })]));
    const start = performance.now();
    // What the executor makes of a record that is not its own is not looked at.
    await lab.run([program], { exact: true }).catch(() => undefined);
    expect(performance.now() - start).toBeGreaterThan(700);
    const endings = [...casesOfRecord(records[0]!)].map(({ number, ending }) => [number, ending]);
    expect(endings).toEqual([
      [0xffff_ffff, 'done'],
      [0, 'endless'],
    ]);
  });
});
