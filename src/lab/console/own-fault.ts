/**
 * Kernel panics that are our own fault: the hand died, or the lab's memory is full. They are no failure of the kernel
 * under test.
 */
import type { ConsoleReport } from './console.ts';

/** A panic that another report comes before begins with that one: it is the kernel's own. */
const deadHand = /^Kernel panic - not syncing: Attempted to kill init! exitcode=0x([0-9a-f]{8})/;
/** mm/oom_kill.c. */
const noMemory = /^Kernel panic - not syncing: (?:System is deadlocked on memory|Out of memory)/;

/** What to tell of a report that is no finding; null for one that is. */
export function ownFaultOf({ fingerprint }: ConsoleReport): string | null {
  const exitCode = deadHand.exec(fingerprint)?.[1];
  if (exitCode !== undefined) {
    // As wait(2) has it: a signal in the low seven bits, or a status above them.
    const code = Number.parseInt(exitCode, 16);
    const end = (code & 0x7f) === 0 ? `with status ${code >>> 8}` : `by signal ${code & 0x7f}`;
    return `the lab's hand ended ${end}`;
  }
  return noMemory.test(fingerprint) ? "the lab's memory is full: it is too small for this machine" : null;
}
