import { describe, expect, it } from 'vitest';
import type { Computer } from '../../../../src/lab/emulator/emulator.ts';
import { qemuArguments } from '../../../../src/lab/emulator/qemu.ts';

const options: Computer = {
  bzImage: '/k/bzImage',
  initrd: '/t/initrd',
  state: null,
  memory: null,
  hasChannel: true,
  cpus: 1,
};

describe('qemuArguments', () => {
  it('should have neither network nor disk nor a share of the host', () => {
    const text = qemuArguments(options).join(' ');
    expect(text).toContain('-nodefaults -no-user-config -no-reboot -display none');
    expect(text).not.toMatch(/-net|-nic|-drive|-hd|-virtfs|-fsdev|-usb|hostfwd/);
  });

  it('should emulate one CPU on one thread', () => {
    expect(qemuArguments(options).join(' ')).toContain('-accel tcg,thread=single -cpu max -smp 1');
  });

  it('should boot two CPUs with one of them', () => {
    const text = qemuArguments({ ...options, cpus: 2 }).join(' ');
    expect(text).toContain('-accel tcg,thread=multi -cpu max -smp 2');
    expect(text).toContain(' maxcpus=1');
    expect(qemuArguments(options).join(' ')).not.toContain('maxcpus');
  });

  it('should keep the memory in a file that it shares, or start from one that it leaves alone', () => {
    const saved = qemuArguments({ ...options, memory: { path: '/c/memory', isWritten: true } }).join(' ');
    const loaded = qemuArguments({ ...options, initrd: null, memory: { path: '/c/memory', isWritten: false } }).join(
      ' ',
    );
    expect(saved).toContain('-object memory-backend-file,id=memory,size=512M,mem-path=/c/memory,share=on');
    expect(saved).toContain('-initrd /t/initrd');
    expect(loaded).toContain('share=off');
    expect(loaded).toContain('-incoming defer');
    expect(loaded).not.toContain('-initrd');
    for (const text of [saved, loaded]) expect(text).toContain('-machine pc,memory-backend=memory');
  });

  it("should escape commas in paths for QEMU's option lists", () => {
    const text = qemuArguments({ ...options, memory: { path: '/c/a,b/memory', isWritten: true } }).join(' ');
    expect(text).toContain('mem-path=/c/a,,b/memory,share=on');
  });

  it('should report warnings with their text, and let only oopses end the boot', () => {
    const line = qemuArguments(options)[qemuArguments(options).indexOf('-append') + 1];
    expect(line).toMatch(/console=ttyS0.*loglevel=5.*oops=panic.*panic=-1/);
    expect(line).not.toContain('panic_on_warn');
  });

  it('should have a shell and no channel without a channel', () => {
    const text = qemuArguments({ ...options, hasChannel: false }).join(' ');
    expect(text).toContain('hvipi.shell');
    expect(text).not.toContain('virtio-serial');
  });
});
