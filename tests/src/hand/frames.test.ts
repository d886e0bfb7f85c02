import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encodeFrame, FrameDecoder, type FrameKind, frameKinds, framesHeader } from '../../../src/hand/frames.ts';

const kinds = Object.keys(frameKinds) as FrameKind[];

describe('encodeFrame', () => {
  it('should write length, kind and payload', () => {
    expect(encodeFrame('hello', 'ab').toString('hex')).toBe('02000000016162');
    expect(encodeFrame('done', Buffer.alloc(0)).toString('hex')).toBe('0000000009');
  });
});

describe('FrameDecoder', () => {
  it('should give the frames back however the bytes are cut', () => {
    const frame = fc.record({ kind: fc.constantFrom(...kinds), payload: fc.uint8Array({ maxLength: 40 }) });
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.nat(30), { maxLength: 40 }), (frames, cuts) => {
        const all = Buffer.concat(frames.map(({ kind, payload }) => encodeFrame(kind, Buffer.from(payload))));
        const decoder = new FrameDecoder();
        const read = [];
        let at = 0;
        for (const cut of [...cuts, all.length]) {
          read.push(...decoder.push(Buffer.from(all.subarray(at, at + cut))));
          at += cut;
        }
        expect(read.map(({ kind, payload }) => ({ kind, payload: [...payload] }))).toEqual(
          frames.map(({ kind, payload }) => ({ kind, payload: [...payload] })),
        );
      }),
      { seed: 42, numRuns: 300 },
    );
  });

  it.each([
    ['a kind that there is not', '00000000ff'],
    ['no kind at all', '0000000000'],
    ['more than any request needs', '0100001001'],
  ])('should refuse %s', (_, hex) => {
    expect(() => new FrameDecoder().push(Buffer.from(hex, 'hex'))).toThrow(/^not a frame of a hand: /);
  });
});

describe('framesHeader', () => {
  it('should give the kinds the numbers that this side has', () => {
    const text = framesHeader();
    expect(text).toContain('#define FRAME_HELLO 1\n');
    expect(text).toContain('#define FRAME_KERNEL_LOG 12\n');
    expect(text.match(/#define FRAME_/g)).toHaveLength(kinds.length);
  });
});
