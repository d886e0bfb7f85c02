/**
 * A script under construction, with what reads its record. Whoever adds operations says at the same place how what they
 * record is read; so the two cannot come apart.
 */
import type { RecordReader } from '../hand/record.ts';

/** Reads what operations recorded. Throws RecordEnd where their case ended before. */
export type Read<Result> = (record: RecordReader) => Result;
