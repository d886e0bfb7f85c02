import { describe, expect, it, vi } from 'vitest';
import { InfrastructureError, KernelFailure, SkippedError } from '../../../src/errors.ts';
import { Channel } from '../../../src/lab/channel.ts';
import { encodeFrame } from '../../../src/lab/protocol.ts';

const warning = { kind: 'warning', fingerprint: 'WARNING: at x.c:1', excerpt: 'text' } as const;
const oops = { kind: 'oops', fingerprint: 'BUG: bad', excerpt: 'text' } as const;
const batch = Buffer.from('batch');

describe('Channel', () => {
  it('should tell when the agent waits, and its facts when it has its modules', async () => {
    const { channel } = open();
    channel.received(encodeFrame('waiting', ''));
    await channel.waiting;
    channel.received(encodeFrame('ready', '{"target":"lab"}'));
    expect(await channel.ready).toEqual({ target: 'lab' });
  });

  it('should answer in order', async () => {
    const { channel } = open();
    const [first, second] = [channel.request('run', batch), channel.request('run', batch)];
    channel.received(encodeFrame('observations', 'one'));
    channel.received(encodeFrame('observations', 'two'));
    expect([String(await first), String(await second)]).toEqual(['one', 'two']);
  });

  it("should rethrow the agent's errors by class", async () => {
    const { channel } = open();
    const requests = [channel.request('run', batch), channel.request('run', batch)];
    channel.received(Buffer.concat([encodeFrame('skipped', 'no Hyper-V'), encodeFrame('failed', 'EINVAL')]));
    const [first, second] = await Promise.allSettled(requests);
    expect(first).toMatchObject({ reason: new SkippedError('no Hyper-V') });
    expect(second).toMatchObject({ reason: new InfrastructureError('the agent in the lab: EINVAL') });
  });

  it('should fail what waits and all later requests after an oops', async () => {
    const { channel } = open();
    const waiting = channel.request('run', batch);
    channel.report(oops);
    await expect(waiting).rejects.toMatchObject({ name: 'KernelFailure', kind: 'oops', fingerprint: 'BUG: bad' });
    await expect(channel.request('run', batch)).rejects.toBeInstanceOf(KernelFailure);
  });

  it('should fail what waits after a warning, and go on', async () => {
    const { channel } = open();
    const waiting = channel.request('run', batch);
    channel.report(warning);
    await expect(waiting).rejects.toMatchObject({ kind: 'warning' });
    const later = channel.request('run', batch);
    channel.received(encodeFrame('observations', 'of the failed one'));
    channel.received(encodeFrame('observations', 'of the later one'));
    expect(String(await later)).toBe('of the later one');
  });

  it('should tell the next request of a warning that came while none waited, once', async () => {
    const { channel } = open();
    channel.report(warning);
    await expect(channel.request('run', batch)).rejects.toMatchObject({ kind: 'warning' });
    const next = channel.request('run', batch);
    channel.received(encodeFrame('observations', 'fine'));
    expect(String(await next)).toBe('fine');
  });

  it('should hold an answer back while a report is incomplete', async () => {
    const { channel, machine } = open();
    const waiting = channel.request('run', batch);
    machine.console.collecting = true;
    channel.received(encodeFrame('observations', 'late'));
    await new Promise((resolve) => setImmediate(resolve));
    machine.console.collecting = false;
    channel.report(warning);
    await expect(waiting).rejects.toMatchObject({ kind: 'warning' });
  });

  it('should call silence a hang, and name it by the report that the NMI brings', async () => {
    vi.useFakeTimers();
    const { channel, machine } = open();
    channel.received(encodeFrame('ready', '{}'));
    const waiting = channel.request('run', batch);
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
    channel.received(encodeFrame('ready', '{}'));
    const waiting = channel.request('run', batch);
    waiting.catch(() => undefined);
    vi.advanceTimersByTime(23_000);
    vi.useRealTimers();
    await expect(waiting).rejects.toMatchObject({ kind: 'hang', console: 'last line' });
  });

  it('should not take a lab that gets no CPU for a silent one', () => {
    vi.useFakeTimers();
    const { channel, machine } = open();
    channel.received(encodeFrame('ready', '{}'));
    channel.request('run', batch).catch(() => undefined);
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
    channel.received(encodeFrame('ready', '{}'));
    channel.request('exec', batch).catch(() => undefined);
    vi.advanceTimersByTime(100_000);
    vi.useRealTimers();
    expect(machine.nmis).toBe(0);
  });

  it('should blame QEMU when it ends without a report', async () => {
    const { channel } = open();
    const waiting = channel.request('run', batch);
    channel.ended('killed by SIGKILL');
    await expect(waiting).rejects.toEqual(new InfrastructureError('QEMU ended: killed by SIGKILL'));
  });

  it("should prefer the agent's own account to the init script's", async () => {
    const { channel } = open();
    channel.note('the agent ended with status 0');
    channel.received(encodeFrame('skipped', 'no Hyper-V'));
    await expect(channel.ready).rejects.toEqual(new SkippedError('no Hyper-V'));
  });
});

function open(): { channel: Channel; machine: { console: { collecting: boolean }; nmis: number; starved: number } } {
  const machine = {
    console: { collecting: false, lastLines: () => ['last line'] },
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
