/** What a lab is made of: the emulator, the kernel with its modules, and the hand; installed or built where they are missing. */
import { buildHand } from '../hand/build.ts';
import { type EmulatorOptions, emulatorFor } from './emulators.ts';
import { ensureTools, ensureZstd } from './install.ts';
import { needsZstd } from './kernel/decompress.ts';
import { resolveKernel } from './kernel/kernels.ts';
import { collectModules } from './kernel/modules.ts';

export interface LabPartsOptions extends EmulatorOptions {
  /** See `kernelSpecHelp`. */
  readonly kernel: string;
  /** Folder of kvm*.ko that go before the kernel's own. */
  readonly kvmModules?: string | null | undefined;
}

/** @throws as `openLab` does. */
export async function labPartsOf(options: LabPartsOptions) {
  const tools = await ensureTools(options);
  const { busybox } = tools;
  const kernel = await resolveKernel(options.kernel, options);
  if (options.cpu === 'intel' && needsZstd()) await ensureZstd(options);
  const emulator = await emulatorFor(options, tools);
  const { kvmModules = null } = options;
  const modules = await collectModules(kernel.moduleDir, kvmModules, busybox, emulator.channelModules);
  return { kernel, emulator, modules, busybox, hand: await buildHand('program') };
}
