import { describe, expect, it, vi } from 'vitest';
import { InfrastructureError, KernelFailure, SkippedError } from '../../../src/errors.ts';
import { encodeFrame } from '../../../src/hand/frames.ts';
import { Channel } from '../../../src/lab/channel.ts';

const warning = { kind: 'warning', fingerprint: 'WARNING: at x.c:1', excerpt: 'text' } as const;
const oops = { kind: 'oops', fingerprint: 'BUG: bad', excerpt: 'text' } as const;
const batch = Buffer.from('batch');

describe('Channel', () => {
  it('should tell the version of the hand when it is up', async () => {
    const { channel } = open();
    channel.received(encodeFrame('hello', '0123456789abcdef'));
    expect(await channel.hello).toBe('0123456789abcdef');
  });

  it('should answer in order', async () => {
    const { channel } = open();
    const [first, second] = [channel.request('script', batch), channel.request('script', batch)];
    channel.received(encodeFrame('record', 'one'));
    channel.received(encodeFrame('record', 'two'));
    expect([String(await first), String(await second)]).toEqual(['one', 'two']);
  });

  it("should rethrow the hand's errors by class", async () => {
    const { channel } = open();
    const requests = [channel.request('script', batch), channel.request('script', batch)];
    channel.received(Buffer.concat([encodeFrame('noKvm', '/dev/kvm: ENOENT'), encodeFrame('failed', 'EINVAL')]));
    const [first, second] = await Promise.allSettled(requests);
    expect(first).toMatchObject({ reason: new SkippedError('/dev/kvm: ENOENT') });
    expect(second).toMatchObject({ reason: new InfrastructureError('the hand: EINVAL') });
  });

  it('should fail what waits and all later requests after an oops', async () => {
    const { channel } = open();
    const waiting = channel.request('script', batch);
    channel.report(oops);
    await expect(waiting).rejects.toMatchObject({ name: 'KernelFailure', kind: 'oops', fingerprint: 'BUG: bad' });
    await expect(channel.request('script', batch)).rejects.toBeInstanceOf(KernelFailure);
  });

  it('should fail what waits after a warning, and go on', async () => {
    const { channel } = open();
    const waiting = channel.request('script', batch);
    channel.report(warning);
    await expect(waiting).rejects.toMatchObject({ kind: 'warning' });
    const later = channel.request('script', batch);
    channel.received(encodeFrame('record', 'of the failed one'));
    channel.received(encodeFrame('record', 'of the later one'));
    expect(String(await later)).toBe('of the later one');
  });

  it('should tell the next request of a warning that came while none waited, once', async () => {
    const { channel } = open();
    channel.report(warning);
    await expect(channel.request('script', batch)).rejects.toMatchObject({ kind: 'warning' });
    const next = channel.request('script', batch);
    channel.received(encodeFrame('record', 'fine'));
    expect(String(await next)).toBe('fine');
  });

  it('should hold an answer back while a report is incomplete', async () => {
    const { channel, machine } = open();
    const waiting = channel.request('script', batch);
    machine.console.collecting = true;
    channel.received(encodeFrame('record', 'late'));
    await new Promise((resolve) => setImmediate(resolve));
    machine.console.collecting = false;
    channel.report(warning);
    await expect(waiting).rejects.toMatchObject({ kind: 'warning' });
  });

  it.each([
    ['exitcode=0x0000000b', "the lab's hand ended by signal 11"],
    ['exitcode=0x00000100', "the lab's hand ended with status 1"],
  ])('should not blame the kernel for the end of the hand (%s)', async (exitCode, message) => {
    const { channel } = open();
    const waiting = channel.request('script', batch);
    const fingerprint = `Kernel panic - not syncing: Attempted to kill init! ${exitCode}; do_exit < do_group_exit`;
    channel.report({ kind: 'oops', fingerprint, excerpt: 'text' });
    await expect(waiting).rejects.toEqual(new InfrastructureError(message));
  });

  it('should not blame the kernel for a lab that is too small', async () => {
    const { channel } = open();
    const fingerprint = 'Kernel panic - not syncing: System is deadlocked on memory; out_of_memory < __alloc_pages';
    channel.report({ kind: 'oops', fingerprint, excerpt: 'text' });
    const message = "the lab's memory is full: it is too small for this machine";
    await expect(channel.request('script', batch)).rejects.toEqual(new InfrastructureError(message));
  });

  it('should blame the kernel where its own failure kills the hand', async () => {
    const { channel } = open();
    const fingerprint = 'BUG: kernel NULL pointer dereference; RIP kvm_hv_hypercall';
    const excerpt = 'BUG: ...\nKernel panic - not syncing: Attempted to kill init! exitcode=0x00000009';
    channel.report({ kind: 'oops', fingerprint, excerpt });
    await expect(channel.request('script', batch)).rejects.toMatchObject({ kind: 'oops', fingerprint });
  });

  it('should call silence a hang, and name it by the report that the NMI brings', async () => {
    vi.useFakeTimers();
    const { channel, machine } = open();
    channel.received(encodeFrame('hello', 'version'));
    const waiting = channel.request('script', batch);
    waiting.catch(() => undefined);
    vi.advanceTimersByTime(20_000);
    expect(machine.nmis).toBe(1);
    channel.report({ kind: 'oops', fingerprint: 'Kernel panic; RIP kvm_hv_hypercall', excerpt: 'trace' });
    vi.useRealTimers();
    const fingerprint = 'no answer from the lab for 20 s; RIP kvm_hv_hypercall';
    await expect(waiting).rejects.toMatchObject({ kind: 'hang', fingerprint, console: 'trace' });
  });

  it('should call silence a hang even when the kernel does not answer the NMI', async () => {
    vi.useFakeTimers();
    const { channel } = open();
    channel.received(encodeFrame('hello', 'version'));
    const waiting = channel.request('script', batch);
    waiting.catch(() => undefined);
    vi.advanceTimersByTime(23_000);
    vi.useRealTimers();
    await expect(waiting).rejects.toMatchObject({ kind: 'hang', console: 'last line' });
  });

  it('should not take a lab that gets no CPU for a silent one', () => {
    vi.useFakeTimers();
    const { channel, machine } = open();
    channel.received(encodeFrame('hello', 'version'));
    channel.request('script', batch).catch(() => undefined);
    // Nine tenths of each second are spent waiting for a CPU, so ten of them are one second of silence.
    for (let second = 1; second <= 190; second++) {
      machine.starved = second * 900;
      vi.advanceTimersByTime(1000);
    }
    expect(machine.nmis).toBe(0);
    vi.advanceTimersByTime(2000);
    vi.useRealTimers();
    expect(machine.nmis).toBe(1);
  });

  it('should not wait for a program that was asked for with exec', () => {
    vi.useFakeTimers();
    const { channel, machine } = open();
    channel.received(encodeFrame('hello', 'version'));
    channel.request('exec', batch).catch(() => undefined);
    vi.advanceTimersByTime(100_000);
    vi.useRealTimers();
    expect(machine.nmis).toBe(0);
  });

  it('should blame QEMU when it ends without a report', async () => {
    const { channel } = open();
    const waiting = channel.request('script', batch);
    channel.ended('killed by SIGKILL');
    await expect(waiting).rejects.toEqual(new InfrastructureError('QEMU ended: killed by SIGKILL'));
  });

  it("should give the hand's last words on the console as the reason, unless it answers by the channel", async () => {
    const { channel } = open();
    const waiting = channel.request('script', batch);
    const later = channel.request('script', batch);
    later.catch(() => undefined);
    channel.note('the channel was closed');
    channel.received(encodeFrame('record', 'of the first one'));
    expect(String(await waiting)).toBe('of the first one');
    await expect(later).rejects.toEqual(new InfrastructureError('the channel was closed'));
    await expect(channel.hello).rejects.toEqual(new InfrastructureError('the channel was closed'));
  });

  it('should hand the output of a program over as it comes', async () => {
    const { channel } = open();
    const pieces: string[] = [];
    const waiting = channel.request('exec', batch, { onOutput: (bytes) => void pieces.push(String(bytes)) });
    for (const piece of ['one', 'two']) channel.received(encodeFrame('output', piece));
    channel.received(encodeFrame('done', Buffer.from([3])));
    expect([...(await waiting)]).toEqual([3]);
    expect(pieces).toEqual(['one', 'two']);
  });

  it("should read the kernel's log from the hand as the console's, without heads and properties", () => {
    const { channel, machine } = open();
    channel.received(encodeFrame('kernelLog', '4,1234,5678,-;WARNING: at x.c:1\n SUBSYSTEM=kvm\n'));
    expect(machine.fed).toEqual(['WARNING: at x.c:1\n']);
  });

  it('should give a script that needs longer the patience that it asks for', () => {
    vi.useFakeTimers();
    const { channel, machine } = open();
    channel.request('script', batch, { patienceMs: 5000 }).catch(() => undefined);
    vi.advanceTimersByTime(24_000);
    expect(machine.nmis).toBe(0);
    vi.advanceTimersByTime(1000);
    vi.useRealTimers();
    expect(machine.nmis).toBe(1);
  });

  it.each([
    ['an answer that nobody asked for', encodeFrame('record', 'x'), 'the hand sent record unasked'],
    ['bytes that are no frame', Buffer.alloc(8, 0xff), "the lab's channel: not a frame of a hand: ffffffffffffffff"],
  ])('should close after %s', async (_, bytes, message) => {
    const { channel } = open();
    channel.received(bytes);
    await expect(channel.request('script', batch)).rejects.toEqual(new InfrastructureError(message));
  });
});

function open(): {
  channel: Channel;
  machine: { console: { collecting: boolean }; fed: string[]; nmis: number; starved: number };
} {
  const fed: string[] = [];
  const machine = {
    title: 'QEMU',
    expected: [] as boolean[],
    expect: (isExpected: boolean) => void machine.expected.push(isExpected),
    console: { collecting: false, lastLines: () => ['last line'], feed: (text: string) => void fed.push(text) },
    fed,
    nmis: 0,
    starved: 0,
    send: () => undefined,
    sendNmi: () => machine.nmis++,
    starvedMs: () => machine.starved,
  };
  const channel = new Channel(20_000);
  channel.attach(machine);
  return { channel, machine };
}
