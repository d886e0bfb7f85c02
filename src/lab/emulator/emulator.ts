/** What the lab needs of a program that emulates a computer: QEMU (`qemu-emulator.ts`), or Bochs (`bochs/`). */

export interface Emulator {
  /** As facts and saved findings have it. */
  readonly name: EmulatorName;
  /** As messages have it. */
  readonly title: string;
  /** Path of the program. */
  readonly path: string;
  /** `7.2.22`. */
  readonly version: string;
  /** Modules that the computer must load before its hand can be reached. */
  readonly channelModules: readonly string[];
  /** Whether it computes at full speed when the computer has nothing to do, so that it is stopped meanwhile. */
  readonly isBusyWhenIdle: boolean;
  /** Variables of its environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** Arguments of the program; it runs with the machine's folder as its working folder. */
  arguments(computer: Computer): readonly string[];
  /** Equal for computers of which one can go on from the state of the other, as far as program, kernel and initramfs are equal. */
  shape(computer: Pick<Computer, 'bzImage' | 'cpus'>): string;
  /** Puts what the arguments name into the machine's folder, and makes the channel ready there, before the program is started. */
  prepare(folder: string, computer: Computer, listener: WireListener): Promise<Wiring>;
}

/** Memory of the computer. A VM of 1,024 vCPUs needs more than 256; what nobody touches costs this computer nothing. */
export const memoryMib = 512;

export interface WireListener {
  /** Bytes from the hand. */
  received(bytes: Buffer): void;
  /** What the console prints, where that is not the emulator's standard output. */
  printed(text: string): void;
}

export type EmulatorName = 'qemu' | 'bochs';

/** Names as messages have them. */
export const emulatorTitles: Readonly<Record<EmulatorName, string>> = { qemu: 'QEMU', bochs: 'Bochs' };

/** What leads into an emulator that runs. */
export interface Wiring {
  /** Sends bytes to the hand, which reads them when it can. */
  send(bytes: Buffer): void;
  /** Whether anything is expected of the hand; while nothing is, nobody need look. */
  expect(isExpected: boolean): void;
  /** Resolves when the emulator can be asked for things. */
  readonly control: Promise<EmulatorControl>;
  /** The emulator has ended: hears what it said before. */
  ended(): void;
  close(): void;
}

/** What can be asked of an emulator while it runs. Everything throws InfrastructureError when it cannot. */
export interface EmulatorControl {
  /** Interrupts the computer's CPU with an NMI. */
  sendNmi(): Promise<void>;
  /**
   * Stops the computer, writes its state to this path, and ends the emulator. The memory is no part of it where that is in a file
   * of its own (`Computer.memory`).
   */
  save(path: string): Promise<void>;
  /** Lets a computer that was started with `Computer.state` go on. */
  load(): Promise<void>;
}

export interface Computer {
  readonly bzImage: string;
  /** Null where the kernel runs already, because its state is loaded. */
  readonly initrd: string | null;
  /** The state to go on from, as `save` wrote it; null boots. */
  readonly state: string | null;
  /** File that holds the memory, if the emulator has it in one: written to, or read and left as it is; null is memory of the process alone. */
  readonly memory: { readonly path: string; readonly isWritten: boolean } | null;
  /** Whether there is a channel to the hand; without one there is a shell on the console. */
  readonly hasChannel: boolean;
  /** Emulated CPUs; the kernel boots with one of them, the other one comes online later (`bringCpusOnline`). */
  readonly cpus: 1 | 2;
}
