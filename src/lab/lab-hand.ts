/** The lab's hand, behind the queue of requests. */
import { parseList } from '../case/cpulist.ts';
import { type Hand, HandRefusal } from '../hand/hand.ts';
import type { Channel } from './channel.ts';

export class LabHand implements Hand {
  readonly #channel: Channel;

  constructor(channel: Channel) {
    this.#channel = channel;
  }

  run(script: Buffer, patienceMs: number): Promise<Buffer> {
    return this.#channel.request('script', script, { patienceMs });
  }

  readFile(path: string): Promise<string | null> {
    return readFile(this.#channel, path);
  }
}

/** The text of a file in the lab, or null. */
export async function readFile(channel: Channel, path: string): Promise<string | null> {
  return (await readBytes(channel, path))?.toString('latin1') ?? null;
}

/** A piece of a file in the lab; empty where it cannot be read. */
export async function readPiece(channel: Channel, path: string, offset: bigint, bytes: number): Promise<Buffer> {
  return (await readBytes(channel, `${path}\0${offset} ${bytes}`)) ?? Buffer.alloc(0);
}

async function readBytes(channel: Channel, what: string): Promise<Buffer | null> {
  try {
    return await channel.request('readFile', Buffer.from(what));
  } catch (error) {
    if (error instanceof HandRefusal) return null;
    throw error;
  }
}

/**
 * The kernel boots with one CPU (`maxcpus=1`); the others come when everything is held whose first and last user makes KVM
 * patch the kernel's code. Emulated CPUs that meet a half-patched instruction panic.
 */
export async function bringCpusOnline(channel: Channel): Promise<void> {
  const present = await readFile(channel, '/sys/devices/system/cpu/present');
  const online = new Set(cpusOf(await readFile(channel, '/sys/devices/system/cpu/online')));
  for (const cpu of cpusOf(present).filter((each) => !online.has(each))) {
    await channel.request('writeFile', Buffer.from(`/sys/devices/system/cpu/cpu${cpu}/online\x001`));
  }
}

/** The largest number of an emulated CPU that there may be. */
const cpuMax = 255;

function cpusOf(text: string | null): readonly number[] {
  return parseList(text?.trim() ?? '', cpuMax);
}
