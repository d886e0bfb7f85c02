/** The command line of QEMU: a computer with one CPU or two, memory, a serial console and one channel; no disk, no network. */
import { channelName } from '../../hand/frames.ts';
import { type Computer, memoryMib } from './emulator.ts';
import { kernelParameters } from './kernel-parameters.ts';

export const qemuChannelModules = ['virtio_pci', 'virtio_console'] as const;

/** Unix sockets that we listen to, in QEMU's working folder: the channel to the hand, and QEMU's own. */
export const sockets = { agent: 'agent.sock', control: 'control.sock' } as const;

/** Arguments for qemu-system-x86_64. */
export function qemuArguments(options: Computer): string[] {
  // One thread: as fast as several for one guest CPU, and the other core stays free.
  const accel = `tcg,thread=${options.cpus === 1 ? 'single' : 'multi'}`;
  const append = kernelParameters(options).join(' ');
  const { initrd, memory } = options;
  const backend = memory === null ? '' : ',memory-backend=memory';
  const rows = [
    ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-name', 'hvipi-lab'],
    ['-machine', `pc${backend}`, '-accel', accel, '-cpu', 'max', '-smp', String(options.cpus), '-m', String(memoryMib)],
    ...(memory === null ? [] : [memoryArguments(memory.path, memory.isWritten)]),
    [
      '-kernel',
      options.bzImage,
      '-append',
      append,
      ...(initrd === null ? ['-incoming', 'defer'] : ['-initrd', initrd]),
    ],
    ['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...(options.hasChannel ? socketArguments() : []),
  ];
  return rows.flat();
}

function memoryArguments(path: string, isWritten: boolean): string[] {
  const size = `size=${memoryMib}M,mem-path=${escapeValue(path)}`;
  return ['-object', `memory-backend-file,id=memory,${size},share=${isWritten ? 'on' : 'off'}`];
}

/** Names in QEMU's working folder: there is no path in them that its option lists could misread. */
function socketArguments(): string[][] {
  return [
    ['-chardev', `socket,id=control,path=${sockets.control}`, '-mon', 'control,mode=control'],
    ['-chardev', `socket,id=agent,path=${sockets.agent}`],
    ['-device', 'virtio-serial-pci', '-device', `virtserialport,chardev=agent,name=${channelName}`],
  ];
}

/** In QEMU's option lists a comma is doubled. */
function escapeValue(text: string): string {
  return text.replaceAll(',', ',,');
}
