/** The command line of the kernel in a lab. */
import type { Computer } from './emulator.ts';

/**
 * Warnings must reach the console (loglevel 5; the hand raises it to 8 when the boot is over). An oops ends the
 * boot at once, a warning does not. The watchdogs report before the host side gives up after 20 s of silence, and the
 * NMI that it then sends prints where the kernel is. KVM waits for an RCU grace period whenever a vCPU changes its
 * thread, as halted vCPUs do at every call: 10 ms, or with expedited ones 1.5 ms (measured per call with two of them).
 */
const always = [
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

export function kernelParameters({ cpus, hasChannel }: Pick<Computer, 'cpus' | 'hasChannel'>): string[] {
  return [...always, ...(cpus === 1 ? [] : ['maxcpus=1']), ...(hasChannel ? [] : ['hvipi.shell'])];
}
