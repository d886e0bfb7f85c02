/** The version of the emulator that takes part in a run. */
import { execa } from 'execa';
import { findProgram } from '../system/tools.ts';

/** `QEMU 7.2.22 (TCG)`. */
export async function qemuVersion(): Promise<string> {
  const qemu = findProgram('qemu-system-x86_64');
  if (qemu === null) return 'QEMU (not found)';
  const { stdout } = await execa(qemu, ['--version']);
  return `QEMU ${/version (\S+)/.exec(stdout)?.[1] ?? '?'} (TCG)`;
}
