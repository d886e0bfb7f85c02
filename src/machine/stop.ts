/** How a program ends early: by an exit that the guest program does not make. */
import * as map from '../guest/memory-map.ts';
import type { GuestCode } from '../guest/program.ts';
import { type ExitRecord, RecordEnd } from '../hand/record.ts';
import * as uapi from '../hand/uapi.ts';
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

/** The guest made an exit that its program does not make; what was seen until then counts. */
export class UnexpectedExit extends Error {
  override name = 'UnexpectedExit';
  /** Results of the calls that completed before. */
  readonly completed: readonly CallResult[];

  constructor(description: string, completed: readonly CallResult[] = []) {
    super(description);
    this.completed = completed;
  }
}

/** Describes an exit that is not one of the guest program's; null for one that is. */
export function describeExit(position: number, { facts }: ExitRecord, code: GuestCode): string | null {
  if (facts === null) return null;
  if (facts.reason === uapi.KVM_EXIT_IO && facts.port === map.ports.logFull) {
    return `vCPU ${position}: interrupts without end`;
  }
  const rip = facts.registers.readBigUInt64LE(uapi.regs.rip);
  return `vCPU ${position}: ${exitName(facts)} at hypercall instruction ${signed(Number(rip) - code.hypercall)}`;
}

/** The name of an exit, or of the errno that KVM_RUN gave. */
export function exitName({ reason, error }: NonNullable<ExitRecord['facts']>): string {
  if (error !== 0 && reason !== uapi.KVM_EXIT_INTR) return `KVM_RUN failed with errno ${-error}`;
  return uapi.exitReasonNames[reason] ?? `exit ${reason}`;
}

/** How a call left the guest, by kvm_run.exit_reason of what the hand answered. */
export function exitOf(reason: number): CallExit {
  return reason === uapi.KVM_EXIT_XEN ? 'xen' : 'hyperv';
}

/** Throws UnexpectedExit for an exit that the guest program does not make. */
export function expectExit(position: number, exit: ExitRecord, code: GuestCode): void {
  const description = describeExit(position, exit, code);
  if (description !== null) throw new UnexpectedExit(description);
}

/** How long a vCPU may take to come where it is waited for: milliseconds. */
export const lostAfterMs = 5_000;

/** Runs a reader; where the record ends because a vCPU did not come, that is what it says. */
export function orLost<Result>(read: () => Result, complaint: string): Result {
  try {
    return read();
  } catch (error) {
    if (error instanceof RecordEnd) throw new UnexpectedExit(complaint);
    throw error;
  }
}

function signed(offset: number): string {
  return offset < 0 ? `-0x${(-offset).toString(16)}` : `+0x${offset.toString(16)}`;
}
