/** Valid scripts, as programs make them, with where their operations and fields are: what the border is tried from. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { drawBatch } from '../../../generators/batch.ts';
import { parseCase } from '../../../src/case/case.ts';
import { KvmExecutor } from '../../../src/executor/kvm-executor.ts';
import { type FieldType, operations } from '../../../src/hand/operations.ts';
import { Script } from '../../../src/hand/script.ts';
import { encodeCase } from '../../../src/program/encode.ts';
import type { Program } from '../../../src/program/program.ts';
import { type DecodedOperation, decodeScript } from '../decode.ts';
import { QuietHand } from '../quiet-hand.ts';

/** A script with more vCPUs takes a hundred times as long as others and shows nothing else. */
const vcpusMax = 8;
const bytesMax = 200_000;
const drawnBatches = 24;
const batchSize = 6;

/** The scripts of the corpus' cases and of drawn ones. */
export async function borderSeeds(corpusFolder: string): Promise<Buffer[]> {
  const corpus = readdirSync(corpusFolder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => encodeCase(parseCase(readFileSync(join(corpusFolder, name), 'utf8'))));
  const drawn = Array.from({ length: drawnBatches }, (_, batch) =>
    drawBatch('border', batch, batchSize).cases.map(encodeCase),
  );
  const small = [...corpus, ...drawn.flat()].filter(({ vcpus }) => vcpus.length <= vcpusMax);
  const scripts: Buffer[] = [];
  for (const [index, program] of small.entries()) scripts.push(await scriptOf([program], index % 2 === 0));
  // Two programs on one VM, and one behind it.
  for (let index = 0; index + 2 < small.length; index += 9) {
    scripts.push(await scriptOf([small[index]!, small[index]!, small[index + 1]!], false));
  }
  scripts.push(await scriptOf(small.slice(0, 1), true, true));
  return scripts.filter(({ length }) => length <= bytesMax);
}

/** Everything that a hand gets for these programs from its start on, as one script. */
async function scriptOf(programs: readonly Program[], exact: boolean, readsOffer = false): Promise<Buffer> {
  const hand = new QuietHand();
  const executor = await KvmExecutor.open(hand, 'lab', { readsOffer, holdsSpareVms: true });
  await executor.run(programs, { exact });
  const start = new Script();
  start.case(0);
  start.add('reset', { firstVm: 0 });
  return Buffer.concat([start.finish(), ...hand.scripts]);
}

const widths: Readonly<Record<FieldType, number>> = { u8: 1, u16: 2, u32: 4, u64: 8, bytes: 4, skip: 4 };

/** The corpus as `border.c` reads it. */
export function encodeSeeds(scripts: readonly Buffer[]): Buffer {
  return Buffer.concat([u32(scripts.length), ...scripts.flatMap(encodeSeed)]);
}

function encodeSeed(script: Buffer): Buffer[] {
  const all = decodeScript(script);
  const placeOf = new Map(all.map(({ start }, place) => [start, place]));
  return [
    u32(all.length),
    ...all.flatMap((operation, place) => {
      const { fields, start, end } = operation;
      const skipped = fields['skip'] as number | undefined;
      const behind = skipped === undefined ? place + 1 : (placeOf.get(end + skipped) ?? all.length);
      const places = fieldsOf(operation);
      return [
        u32(end - start),
        u32(behind - place - 1),
        Buffer.from([places.length]),
        ...places.map(({ at, size, isLength }) => Buffer.from([at & 0xff, at >>> 8, size, Number(isLength)])),
        script.subarray(start, end),
      ];
    }),
  ];
}

/** Where fields are within an operation; of bytes also what would be the first patch's offset and length. */
function fieldsOf({ name, fields }: DecodedOperation): { at: number; size: number; isLength: boolean }[] {
  let at = 1;
  return Object.entries<FieldType>(operations[name]).flatMap(([field, type]) => {
    const own = { at, size: widths[type], isLength: type === 'bytes' || type === 'skip' || name === 'case' };
    at += own.size;
    if (type !== 'bytes') return [own];
    const { length } = fields[field] as Buffer;
    const inside = [0, 2].filter((offset) => offset + 2 <= length);
    const patch = inside.map((offset) => ({ at: own.at + 4 + offset, size: 2, isLength: false }));
    at += length;
    return [own, ...patch];
  });
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}
