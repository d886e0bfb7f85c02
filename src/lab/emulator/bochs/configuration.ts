/** The configuration of Bochs: a computer with one CPU or two, memory and a serial console; no disk, no network. */
import { memoryMib } from '../emulator.ts';
import { romAddress } from './boot-rom.ts';

/** Names in the working folder. */
export const files = {
  configuration: 'bochsrc',
  window: 'window',
  /** Not its standard output: that is a socket to us, which cannot be opened by a name. */
  console: 'com1',
  kernel: 'kernel',
  rom: 'rom',
  initrd: 'initrd',
  log: 'bochs.log',
} as const;

/** How many instructions are a second there: about as many as are executed in two seconds here. */
export const instructionsPerSecond = 100_000_000;
/** It has posted interrupts, virtual-interrupt delivery and APIC-register virtualization. */
const cpuModel = 'corei7_skylake_x';

interface Bioses {
  readonly bios: string;
  readonly vgaBios: string;
}

/** Where the images of a boot belong in memory. */
interface Images {
  readonly kernel: number;
  readonly initrd: number;
}

/** @param images null for a computer that goes on from a saved state. */
export function configuration({ bios, vgaBios }: Bioses, cpus: 1 | 2, images: Images | null): string {
  const place = (address: number): string => `0x${address.toString(16)}`;
  return [
    'config_interface: textconfig',
    'display_library: nogui',
    `log: ${files.log}`,
    // With "report" each MSR that the model lacks is a line.
    'panic: action=fatal',
    'error: action=ignore',
    'info: action=ignore',
    'debug: action=ignore',
    `cpu: model=${cpuModel}, count=${cpus}, ips=${instructionsPerSecond}, reset_on_triple_fault=0, ignore_bad_msrs=1`,
    `memory: guest=${memoryMib}, host=${memoryMib}`,
    `romimage: file="${bios}"`,
    `vgaromimage: file="${vgaBios}"`,
    'pci: enabled=1, chipset=i440fx',
    'clock: sync=none, time0=local',
    `com1: enabled=1, mode=file, dev=${files.console}`,
    'floppy_bootsig_check: disabled=1',
    'boot: disk',
    'ata0: enabled=0',
    'ata1: enabled=0',
    ...(images === null
      ? []
      : [
          `optromimage1: file=${files.rom}, address=${place(romAddress)}`,
          `optramimage1: file=${files.kernel}, address=${place(images.kernel)}`,
          `optramimage2: file=${files.initrd}, address=${place(images.initrd)}`,
        ]),
    '',
  ].join('\n');
}
