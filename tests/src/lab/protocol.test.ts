import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrame, type Frame, FrameDecoder, type FrameKind, frameTypes } from '../../../src/lab/protocol.ts';

const seed = 1;
const frame = fc.record({
  kind: fc.constantFrom(...(Object.keys(frameTypes) as FrameKind[])),
  payload: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes)),
});

describe('FrameDecoder', () => {
  it('should give back the frames, however the bytes are cut', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 6 }), cuts, (frames, sizes) => {
        const bytes = Buffer.concat(frames.map(({ kind, payload }) => encodeFrame(kind, payload)));
        expect(decodeInPieces(bytes, sizes)).toEqual(frames);
      }),
      { seed, numRuns: 300 },
    );
  });

  it('should refuse bytes that are no frame', () => {
    expect(() => new FrameDecoder().push(Buffer.from('hello world'))).toThrow('not a frame');
  });

  it('should refuse a length that no batch has', () => {
    expect(() => new FrameDecoder().push(Buffer.from([0xff, 0xff, 0xff, 0xff, 1]))).toThrow('not a frame');
  });
});

function decodeInPieces(bytes: Buffer, sizes: readonly number[]): Frame[] {
  const decoder = new FrameDecoder();
  const frames: Frame[] = [];
  let offset = 0;
  for (let turn = 0; offset < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    frames.push(...decoder.push(bytes.subarray(offset, offset + size)));
    offset += size;
  }
  return frames;
}
