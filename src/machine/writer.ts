/**
 * A script under construction, with what reads its record. Whoever adds operations says at the same place how what they
 * record is read; so the two cannot come apart.
 */
import type { RecordReader } from '../hand/record.ts';
import type { Script } from '../hand/script.ts';

/** Reads what operations recorded. Throws RecordEnd where their case ended before. */
export type Read<Result> = (record: RecordReader) => Result;

/** What all operations of a program are added to. */
export interface MachineContext {
  readonly script: Script;
  /** Number of the VM. */
  readonly vm: number;
}
