/** `lab shell`: the lab with a shell on its console, for a person to look around in. */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { InfrastructureError, UsageError } from '../errors.ts';
import { buildHand } from '../hand/build.ts';
import { prepareInitramfs } from './initramfs/initramfs.ts';
import { ensureTools } from './install.ts';
import { resolveKernel } from './kernel/kernels.ts';
import type { LabOptions } from './lab.ts';
import { dyingWithUs } from './emulator/machine.ts';
import { emulatorFor } from './emulators.ts';
import { collectModules } from './kernel/modules.ts';
import { temporaryFolder } from '../system/temporary-folder.ts';

/**
 * Boots the lab with this process's own terminal as its console; resolves when its shell has ended. The modules are
 * loaded, the hand does nothing else.
 *
 * @throws as `openLab` does.
 */
export async function runLabShell(options: Omit<LabOptions, 'silenceSeconds'>): Promise<void> {
  if (options.cpu === 'intel') {
    throw new UsageError(
      'lab shell --cpu intel: Bochs has no console that reads; lab run --cpu intel -- CMD runs a command',
    );
  }
  const tools = await ensureTools(options);
  const kernel = await resolveKernel(options.kernel, options);
  await using folder = await temporaryFolder('lab');
  const initrd = join(folder.path, 'initrd');
  const emulator = await emulatorFor(options, tools);
  const { channel, kvm } = await collectModules(
    kernel.moduleDir,
    options.kvmModules ?? null,
    tools.busybox,
    emulator.channelModules,
  );
  const hand = await buildHand('program');
  const initramfs = await prepareInitramfs({
    hand: hand.path,
    busybox: tools.busybox,
    modules: [...channel, ...kvm],
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
