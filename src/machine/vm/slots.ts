/**
 * Slots of the hand: bytes that are sent once and used many times. The first script that needs a slot fills it; a
 * `reset` empties all.
 */
import { handLimits } from '../../hand/operations.ts';
import type { Script } from '../../hand/script.ts';

export class Slots {
  readonly #byKey = new Map<string, number>();
  readonly #free: number[] = [];
  #next = 0;

  /** The slot with that content, which is made when no slot has it yet. */
  of(script: Script, key: string, content: () => Uint8Array): number {
    let slot = this.#byKey.get(key);
    if (slot === undefined) {
      // Not one that was released: a script fills these before it does anything else, and an operation in it may still use that.
      slot = this.#take();
      this.#byKey.set(key, slot);
      script.keep(slot, content());
    }
    return slot;
  }

  /** A slot that the hand itself fills. */
  reserve(): number {
    return this.#free.pop() ?? this.#take();
  }

  release(slot: number): void {
    this.#free.push(slot);
  }

  /** All slots are empty. */
  clear(): void {
    this.#byKey.clear();
    this.#free.length = 0;
    this.#next = 0;
  }

  #take(): number {
    if (this.#next >= handLimits.slots) throw new Error(`a hand has ${handLimits.slots} slots`);
    return this.#next++;
  }
}
