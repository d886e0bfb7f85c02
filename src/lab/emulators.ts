/** Which emulator makes the lab, by the CPU that is asked for. */
import { dirname, join, resolve } from 'node:path';
import { existsSync } from 'node:fs';
import { UsageError } from '../errors.ts';
import type { InstallOptions } from '../system/packages/install-packages.ts';
import type { Tools } from '../system/packages/tools.ts';
import { bochsAt } from './emulator/bochs/bochs-emulator.ts';
import { bochsIn, ensureBochs, version as bochsVersion } from './emulator/bochs/bochs-build.ts';
import type { Emulator } from './emulator/emulator.ts';
import { qemuAt, qemuText } from './emulator/qemu-emulator.ts';
import type { LabCpu } from './lab-cpu.ts';

export interface EmulatorOptions extends InstallOptions {
  /** Default `amd`. */
  readonly cpu?: LabCpu | undefined;
  /** A Bochs instead of the one that is built: the program, with its BIOSes beside it. */
  readonly bochs?: string | null | undefined;
}

/**
 * The emulator, installed or built first when it is not there.
 *
 * @throws UsageError for a `--bochs` that is none, InfrastructureError when it cannot be had.
 */
export async function emulatorFor(
  { cpu = 'amd', bochs = null, ...options }: EmulatorOptions,
  tools: Tools,
): Promise<Emulator> {
  if (cpu === 'amd') return qemuAt(tools['qemu-system-x86_64']);
  const built = bochs === null ? await ensureBochs(options) : givenBochs(bochs);
  return bochsAt({ ...built, busybox: tools.busybox });
}

/** `QEMU 7.2.22 (TCG)` or `Bochs 3.0`, for reports. */
export async function emulatorText(cpu: LabCpu): Promise<string> {
  return cpu === 'amd' ? qemuText() : `Bochs ${bochsVersion}`;
}

function givenBochs(given: string): ReturnType<typeof bochsIn> {
  const path = resolve(given);
  const parts = { ...bochsIn(dirname(path)), path };
  const missing = Object.values(parts).find((each) => !existsSync(each));
  if (missing === undefined) return parts;
  throw new UsageError(
    `--bochs ${given}: no ${missing}; it takes a Bochs 3.0 that was built with our edits (${join('src', 'lab', 'emulator', 'bochs', 'edits.ts')}), ` +
      'with bios.bin (of the package bochsbios: BIOS-bochs-latest) and vgabios.bin (of vgabios) beside it',
  );
}
