/** Bochs as an emulator: it emulates VMX, which QEMU does not, with APICv and posted interrupts. */
import { statSync } from 'node:fs';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import { InfrastructureError } from '../../../errors.ts';
import { stateFolderName, windowAddress, windowBytes, windowParameter, windowVariable } from '../../../hand/window.ts';
import {
  type Computer,
  type Emulator,
  type EmulatorControl,
  emulatorTitles,
  memoryMib,
  type Wiring,
} from '../emulator.ts';
import { settled } from '../../settled.ts';
import { kernelParameters } from '../kernel-parameters.ts';
import { bootRom, type MemoryRange } from './boot-rom.ts';
import { configuration, files, instructionsPerSecond } from './configuration.ts';
import { kernelImage } from './kernel-image.ts';
import { WindowWire } from './window-wire.ts';

export interface BochsParts {
  /** The program. */
  readonly path: string;
  /** The BIOS, and that of the video card. */
  readonly bios: string;
  readonly vgaBios: string;
  /** For kernels that are packed with xz. */
  readonly busybox: string;
}

/** @throws InfrastructureError when the program does not tell its version. */
export async function bochsAt(parts: BochsParts): Promise<Emulator> {
  const { path, busybox } = parts;
  return {
    name: 'bochs',
    title: emulatorTitles.bochs,
    path,
    version: await versionOf(path),
    channelModules: [],
    isBusyWhenIdle: true,
    environment: { [windowVariable]: files.window, BXSHARE: '.' },
    arguments: ({ state }) => ['-q', '-f', files.configuration, ...(state === null ? [] : ['-r', stateFolderName])],
    shape: ({ cpus }) =>
      JSON.stringify([configuration(parts, cpus, null), parametersFor({ cpus, hasChannel: true }), memoryMap]),
    prepare: async (folder, computer, listener): Promise<Wiring> => {
      const images =
        computer.state === null
          ? { kernel: await writeImages(folder, computer, busybox), initrd: initrdAddress }
          : null;
      await writeFile(join(folder, files.configuration), configuration(parts, computer.cpus, images));
      await writeFile(join(folder, files.window), Buffer.alloc(windowBytes));
      await writeFile(join(folder, files.console), '');
      if (computer.state !== null) await symlink(computer.state, join(folder, stateFolderName));
      const [ended, { resolve: hasEnded }] = settled<void>();
      const wire = new WindowWire(join(folder, files.window), join(folder, files.console), listener);
      return {
        send: (bytes) => wire.send(bytes),
        expect: (isExpected) => wire.expect(isExpected),
        control: Promise.resolve(controlOf(wire, folder, ended)),
        ended: () => {
          wire.look();
          hasEnded();
        },
        close: () => wire.close(),
      };
    },
  };
}

/** `3.0` of `Bochs x86 Emulator 3.0`. */
export function versionOfText(text: string): string | null {
  return /^\s*Bochs x86 Emulator (\d+\.\d+(?:\.\d+)?)/m.exec(text)?.[1] ?? null;
}

async function versionOf(path: string): Promise<string> {
  const { stdout, stderr } = await execa(path, ['--help'], { reject: false, stdin: 'ignore' });
  const version = versionOfText(`${stdout}\n${stderr}`);
  if (version === null) throw new InfrastructureError(`${path} does not tell the version of Bochs; run it with --help`);
  return version;
}

/** Saving takes half a second where the disk is free. */
const saveMsMax = 60_000;

const mib = 1024 * 1024;
/** The tables that the BIOS puts at the end of the memory. */
const acpiBytes = 0x1_0000;
/** Behind every kernel that was met, with room. */
const initrdAddress = 128 * mib;

const memoryMap: readonly MemoryRange[] = [
  { address: 0, bytes: 0x9_fc00, kind: 'ram' },
  { address: 0x9_fc00, bytes: 0x400, kind: 'reserved' },
  { address: 0xf_0000, bytes: 0x1_0000, kind: 'reserved' },
  { address: mib, bytes: (memoryMib - 1) * mib - acpiBytes, kind: 'ram' },
  { address: memoryMib * mib - acpiBytes, bytes: acpiBytes, kind: 'acpi' },
  { address: windowAddress, bytes: windowBytes, kind: 'reserved' },
];

/**
 * The TSC counts instructions while CPUID tells of 3.5 GHz, so the kernel is told. The end is a triple fault, at which Bochs ends;
 * any other reset boots again.
 */
function parametersFor(computer: Pick<Computer, 'cpus' | 'hasChannel'>): string[] {
  return [...kernelParameters(computer), `tsc_early_khz=${instructionsPerSecond / 1000}`, 'reboot=t', windowParameter];
}

/** Returns where the kernel belongs. */
async function writeImages(folder: string, computer: Computer, busybox: string): Promise<number> {
  const kernel = await kernelImage(computer.bzImage, busybox);
  const initrdBytes = statSync(computer.initrd!).size;
  if (kernel.address + kernel.bytes.length > initrdAddress) {
    throw new InfrastructureError(
      `${computer.bzImage}: its kernel is larger than the ${initrdAddress / mib} MiB that Bochs has for it`,
    );
  }
  const rom = bootRom({
    entry: kernel.entry,
    commandLine: parametersFor(computer).join(' '),
    initrd: { address: initrdAddress, bytes: initrdBytes },
    memory: memoryMap,
  });
  await writeFile(join(folder, files.kernel), kernel.bytes);
  await writeFile(join(folder, files.rom), rom);
  return kernel.address;
}

function controlOf(wire: WindowWire, folder: string, ended: Promise<void>): EmulatorControl {
  return {
    sendNmi: async () => wire.ask('nmi'),
    save: async (path) => {
      await mkdir(path);
      await symlink(path, join(folder, stateFolderName));
      wire.ask('save');
      const patience = new AbortController();
      await Promise.race([ended, sleep(saveMsMax, undefined, patience).catch(() => undefined)]);
      patience.abort();
      await dropImages(join(path, 'config'));
    },
    // It goes on by itself.
    load: async () => undefined,
  };
}

/** Bochs reads the images of the boot again, which are gone, before it replaces the memory by the saved one. */
async function dropImages(path: string): Promise<void> {
  const lines = (await readFile(path, 'utf8')).split('\n');
  await writeFile(path, lines.filter((line) => !/^opt(?:rom|ram)image/.test(line)).join('\n'));
}
