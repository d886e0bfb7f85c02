/**
 * The window: a file that an emulator maps into the computer's physical memory. It has a ring each way for the bytes
 * of the channel, and a word through which we ask the emulator itself for something. `window.c` is the hand's side.
 */

/** Where the computer has it: above the RAM, below what a BIOS gives to PCI devices. */
export const windowAddress = 0xd000_0000;
export const windowBytes = 8 * 1024 * 1024;
/** Word of the kernel's command line that says there is one. */
export const windowParameter = 'hvipi.window';

/** Words of the first page, of 32 bits each. The counts of bytes wrap around. */
export const windowWords = {
  /** `windowMark`, when the hand listens. */
  mark: 0,
  /** Bytes that we wrote for the hand, and those of them that it has taken. */
  sent: 4,
  taken: 8,
  /** Bytes that the hand wrote for us, and those of them that we have taken. */
  answered: 12,
  heard: 16,
  /** One of `windowRequests`; the emulator sets it to 0 when it has seen it. */
  request: 20,
} as const;
export const windowWordsBytes = 24;

export const windowRequests = { nmi: 1, save: 2 } as const;
export const windowMark = 0x6876_6970;

/** A power of two, so that counts may wrap around. */
export const ringBytes = 2 * 1024 * 1024;
/** Where the rings begin. */
export const sentRing = 4096;
export const answeredRing = windowBytes / 2;

/** The folder, in the emulator's working folder, into which it saves its state. */
export const stateFolderName = 'devices';
/** The variable of the emulator's environment that names the file. */
export const windowVariable = 'BOCHS_WINDOW';

/** Lines of `frames.h`. */
export function windowDefines(): string[] {
  const words = Object.entries(windowWords).map(([name, offset]) => `#define WINDOW_${name.toUpperCase()} ${offset}`);
  return [
    ...words,
    `#define WINDOW_ADDRESS ${windowAddress}u`,
    `#define WINDOW_BYTES ${windowBytes}u`,
    `#define WINDOW_PARAMETER "${windowParameter}"`,
    `#define WINDOW_MARK_VALUE ${windowMark}u`,
    `#define RING_BYTES ${ringBytes}u`,
    `#define SENT_RING ${sentRing}u`,
    `#define ANSWERED_RING ${answeredRing}u`,
  ];
}
