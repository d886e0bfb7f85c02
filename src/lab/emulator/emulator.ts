/** What the lab needs of a program that emulates a computer. QEMU is the one that there is (`qemu-emulator.ts`). */
import type { Socket } from 'node:net';

export interface Emulator {
  /** As facts and saved findings have it. */
  readonly name: EmulatorName;
  /** As messages have it. */
  readonly title: string;
  /** Path of the program. */
  readonly path: string;
  /** `7.2.22`. */
  readonly version: string;
  /** Arguments of the program for a computer; it runs with the machine's folder as its working folder. */
  arguments(computer: Computer): readonly string[];
  /** Takes the control channel, to which the program connects by itself. */
  control(socket: Socket): EmulatorControl;
}

export type EmulatorName = 'qemu';

/** Names as messages have them. */
export const emulatorTitles: Readonly<Record<EmulatorName, string>> = { qemu: 'QEMU' };

/** What can be asked of an emulator while it runs. Everything throws InfrastructureError when it cannot. */
export interface EmulatorControl {
  /** Interrupts the computer's CPU with an NMI. */
  sendNmi(): Promise<void>;
  /** Stops the computer, writes everything but its memory to `devicesFile`, and ends the emulator. */
  save(): Promise<void>;
  /** Reads `devicesFile` into a computer that was started without a kernel of its own, and lets it go on. */
  load(): Promise<void>;
}

/** File in the emulator's working folder. */
export const devicesFile = 'devices';

export interface Computer {
  readonly bzImage: string;
  /** Null where the kernel runs already, because its state is loaded. */
  readonly initrd: string | null;
  /** File that holds the memory: written to, or read and left as it is; null is memory of the process alone. */
  readonly memory?: { readonly path: string; readonly isWritten: boolean } | null;
  /** Unix sockets that we listen to; null starts a shell on the console instead of the channel. */
  readonly sockets: Sockets | null;
  readonly accel: Acceleration;
  /** Emulated CPUs; the kernel boots with one of them, the other one comes online later (`bringCpusOnline`). */
  readonly cpus: 1 | 2;
}

/** `tcg` emulates the CPU and needs nothing of the host; `kvm` needs a host that nests, and the CPU is the host's. */
export type Acceleration = 'tcg' | 'kvm';

export interface Sockets {
  /** The channel to the hand. */
  readonly agent: string;
  /** The emulator's own control channel. */
  readonly control: string;
}
