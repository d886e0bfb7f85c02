/**
 * A hand without KVM, for tests and measurements of this side: every ioctl succeeds, every vCPU comes where it is waited for, and
 * nothing ever differs from what a script gave. It says nothing about the hand in C.
 */
import type { Hand } from '../../src/hand/hand.ts';
import type { OperationName } from '../../src/hand/operations.ts';
import { KVM_CAP, KVM_CHECK_EXTENSION, KVM_GET_MSRS, KVM_SET_MSRS } from '../../src/hand/uapi.ts';
import { type DecodedOperation, decodeAt } from './decode.ts';

const nothing = Buffer.alloc(0);
/** KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL and more. */
const xenFlags = 0xff;

export class QuietHand implements Hand {
  /** The scripts that it was given. */
  readonly scripts: Buffer[] = [];

  run(script: Buffer): Promise<Buffer> {
    this.scripts.push(Buffer.from(script));
    return Promise.resolve(quietRecord(script));
  }

  readFile(): Promise<string | null> {
    return Promise.resolve(null);
  }
}

/** What a script records where everything goes as it says, and nothing differs. */
export function quietRecord(script: Buffer): Buffer {
  const cases: Buffer[] = [];
  for (let at = 0; at < script.length;) {
    const { fields, end } = decodeAt(script, at);
    at = end + (fields['length'] as number);
    const record = recordOf(script, end, at);
    cases.push(Buffer.concat([u32(fields['number'] as number), u8(0), u32(record.length), record]));
  }
  return Buffer.concat(cases);
}

function recordOf(script: Buffer, start: number, end: number): Buffer {
  const pieces: Buffer[] = [];
  for (let at = start; at < end;) {
    const operation = decodeAt(script, at);
    const { name, fields } = operation;
    at = operation.end;
    if (!('skip' in fields)) {
      pieces.push(answerTo(operation));
      continue;
    }
    // Nothing was noted.
    const holds = name === 'ifNoted' && fields['value'] === 0;
    pieces.push(u8(holds ? 1 : 0));
    if (!holds) at += fields['skip'] as number;
  }
  return Buffer.concat(pieces);
}

/** What operations record that have one answer alone; those that are not here record nothing, or are told apart below. */
const answers: Partial<Record<OperationName, Buffer>> = {
  ioctlDiff: Buffer.alloc(2),
  diff: Buffer.alloc(2),
  takeLog: Buffer.alloc(2),
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
  if (name === 'read') {
    return Buffer.concat([u32(fields['length'] as number), Buffer.alloc(fields['length'] as number)]);
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
