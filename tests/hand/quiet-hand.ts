/**
 * A hand without KVM, for tests and measurements of this side: every ioctl succeeds, every vCPU comes where it is waited for, and
 * nothing ever differs from what a script gave. It says nothing about the hand in C.
 */
import type { Hand } from '../../src/hand/hand.ts';
import { type Ending, endings, type OperationName } from '../../src/hand/operations.ts';
import { KVM_CAP, KVM_CHECK_EXTENSION, KVM_GET_MSRS, KVM_SET_MSRS } from '../../src/hand/uapi.ts';
import { type DecodedOperation, decodeAt } from './decode.ts';

const nothing = Buffer.alloc(0);
/** KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL and more. */
const xenFlags = 0xff;

/** What an operation records instead, and how its case ends with it. */
export interface Answer {
  readonly bytes: Buffer;
  readonly ending?: Ending;
}

/** Gives an answer of its own to some operations. */
export type Answering = (operation: DecodedOperation, caseNumber: number) => Answer | null;

export class QuietHand implements Hand {
  /** The scripts that it was given. */
  readonly scripts: Buffer[] = [];
  answering: Answering = () => null;

  run(script: Buffer): Promise<Buffer> {
    this.scripts.push(Buffer.from(script));
    return Promise.resolve(quietRecord(script, this.answering));
  }

  readFile(): Promise<string | null> {
    return Promise.resolve(null);
  }
}

/** What a script records where everything goes as it says, and nothing differs, but for what `answering` says. */
function quietRecord(script: Buffer, answering: Answering): Buffer {
  const cases: Buffer[] = [];
  for (let at = 0; at < script.length;) {
    const { fields, end } = decodeAt(script, at);
    const number = fields['number'] as number;
    at = end + (fields['length'] as number);
    const { record, ending } = runCase(script, end, at, (operation) => answering(operation, number));
    cases.push(Buffer.concat([u32(number), u8(endings[ending]), u32(record.length), record]));
    if (ending === 'endless') break;
  }
  return Buffer.concat(cases);
}

function runCase(
  script: Buffer,
  start: number,
  end: number,
  answering: (operation: DecodedOperation) => Answer | null,
): { record: Buffer; ending: Ending } {
  const pieces: Buffer[] = [];
  let ending: Ending = 'done';
  for (let at = start; at < end && ending === 'done';) {
    const operation = decodeAt(script, at);
    const { name, fields } = operation;
    const own = answering(operation);
    at = operation.end;
    // Nothing was noted.
    const usual = 'skip' in fields ? u8(Number(name === 'ifNoted' && fields['value'] === 0)) : answerTo(operation);
    const bytes = own?.bytes ?? usual;
    pieces.push(bytes);
    ending = own?.ending ?? 'done';
    if ('skip' in fields && bytes[0] === 0) at += fields['skip'] as number;
  }
  return { record: Buffer.concat(pieces), ending };
}

/** What operations record that have one answer alone; those that are not here record nothing, or are told apart below. */
const answers: Partial<Record<OperationName, Buffer>> = {
  ioctlDiff: Buffer.alloc(2),
  diff: Buffer.alloc(2),
  takeLog: Buffer.alloc(2),
  readWord: Buffer.alloc(8),
  run: Buffer.alloc(2),
  exit: Buffer.alloc(2),
  registersDiff: Buffer.alloc(1),
  readAtRegister: Buffer.alloc(4),
  waitForWord: u8(1),
  wait: u8(1),
  fetch: u8(1),
  stop: u8(1),
};

function answerTo({ name, fields }: DecodedOperation): Buffer {
  if (name === 'ioctl') {
    return answerToIoctl(fields['record'] as number, fields['request'] as number, fields['argument'] as Buffer);
  }
  if (name === 'ioctlValue' && fields['record'] !== 0) {
    return u32(fields['request'] === KVM_CHECK_EXTENSION ? capability(Number(fields['value'])) : 0);
  }
  return answers[name] ?? nothing;
}

/** KVM_GET_MSRS and KVM_SET_MSRS give the number of entries that they did; of CPUID there are no entries. */
function answerToIoctl(record: number, request: number, argument: Buffer): Buffer {
  const head = u32(record > 0 && isOfMsrs(request) ? argument.readUInt32LE(0) : 0);
  if (record === 0) return nothing;
  if (record === 1) return head;
  const after = isOfMsrs(request) ? argument : Buffer.alloc(argument.length);
  return Buffer.concat([head, u32(after.length), after]);
}

function isOfMsrs(request: number): boolean {
  return request === KVM_GET_MSRS || request === KVM_SET_MSRS;
}

function capability(number: number): number {
  if (number === KVM_CAP.MAX_VCPUS) return 4096;
  return number === KVM_CAP.XEN_HVM ? xenFlags : 1;
}

function u8(value: number): Buffer {
  return Buffer.from([value]);
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}
