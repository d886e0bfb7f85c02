/** Asks a KVM something: a script with one case that must succeed. */
import { InfrastructureError } from '../errors.ts';
import type { Hand } from '../hand/hand.ts';
import { casesOfRecord, type RecordReader } from '../hand/record.ts';
import { Script } from '../hand/script.ts';
import { requestName } from '../hand/uapi.ts';
import type { Read } from '../machine/writer.ts';

/**
 * Has a hand do what `add` adds, and gives what is read of it.
 *
 * @throws InfrastructureError that names the ioctl which failed.
 */
export async function ask<Result>(hand: Hand, add: (script: Script) => Read<Result>): Promise<Result> {
  const script = new Script();
  script.case(0);
  const read = add(script);
  return read(firstCase(await hand.run(script.finish(), 0)));
}

function firstCase(bytes: Buffer): RecordReader {
  const [first] = casesOfRecord(bytes);
  if (first === undefined) throw new InfrastructureError('the hand gave no record');
  if (first.ending !== 'done') {
    const { request, errno } = first.reader.failure();
    throw new InfrastructureError(`KVM cannot be used: ${requestName(request)} failed with errno ${errno}`);
  }
  return first.reader;
}
