/** The command line of QEMU: a computer with one CPU or two, memory, a serial console and one channel; no disk, no network. */
import { channelName } from '../../hand/frames.ts';
import type { Computer, Sockets } from './emulator.ts';

/** A VM of 1,024 vCPUs needs more than 256; what nobody touches costs this computer nothing. */
const memoryMib = 512;

/**
 * Warnings must reach the console (loglevel 5; the hand raises it to 8 when the boot is over). An oops ends the
 * boot at once, a warning does not. The watchdogs report before the host side gives up after 20 s of silence, and the
 * NMI that it then sends prints where the kernel is. KVM waits for an RCU grace period whenever a vCPU changes its
 * thread, as halted vCPUs do at every call: 10 ms, or with expedited ones 1.5 ms (measured per call with two of them).
 */
const kernelParameters = [
  'console=ttyS0',
  'earlyprintk=serial,ttyS0,115200',
  'quiet',
  'loglevel=5',
  'nokaslr',
  'mitigations=off',
  'random.trust_cpu=on',
  'oops=panic',
  'panic=-1',
  'unknown_nmi_panic',
  'watchdog_thresh=5',
  'rcupdate.rcu_expedited=1',
  'rcupdate.rcu_cpu_stall_timeout=12',
];

/** Arguments for qemu-system-x86_64. */
export function qemuArguments(options: Computer): string[] {
  const cpu = options.accel === 'kvm' ? 'host' : 'max';
  // One thread: as fast as several for one guest CPU, and the other core stays free.
  const accel = options.accel === 'kvm' ? 'kvm' : `tcg,thread=${options.cpus === 1 ? 'single' : 'multi'}`;
  const append = [
    ...kernelParameters,
    ...(options.cpus === 1 ? [] : ['maxcpus=1']),
    ...(options.sockets === null ? ['hvipi.shell'] : []),
  ].join(' ');
  const { initrd, memory = null } = options;
  const backend = memory === null ? '' : ',memory-backend=memory';
  const rows = [
    ['-nodefaults', '-no-user-config', '-no-reboot', '-display', 'none', '-name', 'hvipi-lab'],
    ['-machine', `pc${backend}`, '-accel', accel, '-cpu', cpu, '-smp', String(options.cpus), '-m', String(memoryMib)],
    ...(memory === null ? [] : [memoryArguments(memory.path, memory.isWritten)]),
    [
      '-kernel',
      options.bzImage,
      '-append',
      append,
      ...(initrd === null ? ['-incoming', 'defer'] : ['-initrd', initrd]),
    ],
    ['-chardev', 'stdio,id=console,signal=off', '-serial', 'chardev:console'],
    ...(options.sockets === null ? [] : socketArguments(options.sockets)),
  ];
  return rows.flat();
}

function memoryArguments(path: string, isWritten: boolean): string[] {
  const size = `size=${memoryMib}M,mem-path=${escapeValue(path)}`;
  return ['-object', `memory-backend-file,id=memory,${size},share=${isWritten ? 'on' : 'off'}`];
}

function socketArguments({ agent, control }: Sockets): string[][] {
  return [
    ['-chardev', `socket,id=control,path=${escapeValue(control)}`, '-mon', 'control,mode=control'],
    ['-chardev', `socket,id=agent,path=${escapeValue(agent)}`],
    ['-device', 'virtio-serial-pci', '-device', `virtserialport,chardev=agent,name=${channelName}`],
  ];
}

/** In QEMU's option lists a comma is doubled. */
function escapeValue(text: string): string {
  return text.replaceAll(',', ',,');
}
