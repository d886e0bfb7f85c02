/** What calls come to, and how they end when the guest does something that its program does not. */
import type { CallExit, GuestException, RegisterChange } from '../program/observation.ts';

/** What one call did to its sender. */
export interface CallResult {
  readonly result: bigint | null;
  readonly exception: GuestException | null;
  readonly exit: CallExit | null;
  readonly registers: readonly RegisterChange[];
}

/** What a step that is no call has of a call's results. */
export const noCall: CallResult = { result: null, exception: null, exit: null, registers: [] };

/** The guest made an exit that its program does not make; the machine must not be used any more. */
export class UnexpectedExit extends Error {
  override name = 'UnexpectedExit';
  /** Results of the calls that completed before. */
  readonly completed: readonly CallResult[];

  constructor(description: string, completed: readonly CallResult[] = []) {
    super(description);
    this.completed = completed;
  }
}
