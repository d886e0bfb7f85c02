/** `lab shell`: the lab with a shell on its console, for a person to look around in. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { InfrastructureError, UsageError } from '../errors.ts';
import { prepareInitramfs } from './initramfs/initramfs.ts';
import type { LabOptions } from './lab.ts';
import { labPartsOf } from './lab-parts.ts';
import { dyingWithUs } from './emulator/machine.ts';
import { temporaryFolder } from '../system/temporary-folder.ts';

/**
 * Boots the lab with this process's own terminal as its console; resolves when its shell has ended. The modules are
 * loaded, the hand does nothing else.
 *
 * @throws as `openLab` does.
 */
export async function runLabShell(options: LabOptions): Promise<void> {
  if (options.cpu === 'intel') {
    throw new UsageError(
      'lab shell --cpu intel: Bochs has no console that reads; lab run --cpu intel -- CMD runs a command',
    );
  }
  const { kernel, emulator, modules, busybox, hand } = await labPartsOf(options);
  await using folder = await temporaryFolder('lab');
  const initrd = join(folder.path, 'initrd');
  const initramfs = await prepareInitramfs({
    hand: hand.path,
    busybox,
    modules: [...modules.channel, ...modules.kvm],
  });
  await initramfs.write(initrd);
  const args = emulator.arguments({
    bzImage: kernel.bzImage,
    initrd,
    state: null,
    memory: null,
    hasChannel: false,
    cpus: 1,
  });
  const [command, ...first] = dyingWithUs(emulator.path);
  options.say('booting; "exit" or Ctrl-D switches the lab off');
  await new Promise<void>((resolve, reject) => {
    const qemu = spawn(command, [...first, ...args], {
      stdio: 'inherit',
      ...(options.signal && { signal: options.signal }),
    });
    qemu.once('error', (error) => reject(new InfrastructureError(`QEMU: ${error.message}`)));
    qemu.once('close', (code) => {
      if (code === 0) resolve();
      else reject(new InfrastructureError(`QEMU ended with ${code ?? 'a signal'}`));
    });
  });
}
