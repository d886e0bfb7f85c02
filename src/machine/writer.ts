/**
 * How a script is written together with what reads its record: whoever adds operations returns the function that reads
 * what they record. So the two cannot come apart.
 */
import type { RecordReader } from '../hand/record.ts';

/** Reads what operations recorded. Throws RecordEnd where their case ended before. */
export type Read<Result> = (record: RecordReader) => Result;
