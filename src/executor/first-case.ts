/** The record of a script that has one case and must be done. */
import { InfrastructureError } from '../errors.ts';
import { casesOfRecord, type RecordReader } from '../hand/record.ts';
import { requestName } from '../hand/uapi.ts';

/** @throws InfrastructureError that names the ioctl which failed. */
export function firstCase(bytes: Buffer): RecordReader {
  const [first] = casesOfRecord(bytes);
  if (first === undefined) throw new InfrastructureError('the hand gave no record');
  if (first.ending !== 'done') {
    const { request, errno } = first.reader.failure();
    throw new InfrastructureError(`KVM cannot be used: ${requestName(request)} failed with errno ${errno}`);
  }
  return first.reader;
}
