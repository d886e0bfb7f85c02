import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  answeredRing,
  ringBytes,
  sentRing,
  windowBytes,
  windowMark,
  windowRequests,
  windowWords,
} from '../../../../../src/hand/window.ts';
import { WindowWire } from '../../../../../src/lab/emulator/bochs/window-wire.ts';
import { temporaryFolder } from '../../../../temporary-folder.ts';

let folder: string;
let wire: WindowWire;
const heard: Buffer[] = [];
const printed: string[] = [];

beforeEach(() => {
  folder = temporaryFolder();
  writeFileSync(join(folder, 'window'), Buffer.alloc(windowBytes));
  writeFileSync(join(folder, 'com1'), '');
  heard.length = 0;
  printed.length = 0;
  wire = new WindowWire(join(folder, 'window'), join(folder, 'com1'), {
    received: (bytes) => heard.push(bytes),
    printed: (text) => printed.push(text),
  });
});
afterEach(() => {
  wire.close();
});

/** The other side, as the hand has it. */
const memory = (): Buffer => readFileSync(join(folder, 'window'));
const word = (name: keyof typeof windowWords): number => memory().readUInt32LE(windowWords[name]);
function change(edit: (bytes: Buffer) => void): void {
  const bytes = memory();
  edit(bytes);
  writeFileSync(join(folder, 'window'), bytes, { flag: 'r+' });
}
const setWord = (bytes: Buffer, name: keyof typeof windowWords, value: number): void => {
  bytes.writeUInt32LE(value >>> 0, windowWords[name]);
};
const listen = (): void => change((bytes) => setWord(bytes, 'mark', windowMark));

describe('WindowWire', () => {
  it('should keep what is sent until the hand listens', () => {
    wire.send(Buffer.from('frame'));
    expect(word('sent')).toBe(0);
    listen();
    wire.look();
    expect(word('sent')).toBe(5);
    expect(memory().toString('latin1', sentRing, sentRing + 5)).toBe('frame');
  });

  it('should send what has no room when the hand has taken something, around the end of the ring', () => {
    listen();
    const all = Buffer.alloc(ringBytes + 100, 'a');
    all.write('end', all.length - 3);
    wire.send(all);
    expect(word('sent')).toBe(ringBytes);
    change((bytes) => setWord(bytes, 'taken', 40));
    wire.look();
    expect(word('sent')).toBe(ringBytes + 40);
    change((bytes) => setWord(bytes, 'taken', ringBytes));
    wire.look();
    expect(word('sent')).toBe(ringBytes + 100);
    expect(memory().toString('latin1', sentRing + 97, sentRing + 100)).toBe('end');
  });

  it('should hear answers around the end of the ring, and say that they were heard', () => {
    listen();
    change((bytes) => {
      setWord(bytes, 'answered', ringBytes - 2);
      bytes.fill('x', answeredRing, answeredRing + ringBytes - 2);
    });
    wire.look();
    change((bytes) => {
      setWord(bytes, 'answered', ringBytes + 3);
      bytes.write('ab', answeredRing + ringBytes - 2);
      bytes.write('cde', answeredRing);
    });
    wire.look();
    expect(heard.map((bytes) => bytes.length)).toEqual([ringBytes - 2, 5]);
    expect(heard[1]!.toString()).toBe('abcde');
    expect(word('heard')).toBe(ringBytes + 3);
  });

  it('should pass on what the console prints, each text once', () => {
    writeFileSync(join(folder, 'com1'), 'one\n');
    wire.look();
    wire.look();
    writeFileSync(join(folder, 'com1'), 'two\n', { flag: 'a' });
    wire.look();
    expect(printed).toEqual(['one\n', 'two\n']);
  });

  it('should ask the emulator by a word of its own', () => {
    wire.ask('nmi');
    expect(word('request')).toBe(windowRequests.nmi);
  });
});
