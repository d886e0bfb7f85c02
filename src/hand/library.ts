/**
 * The hand in this process, as a library. koffi is loaded here and nowhere else; no pointer leaves this file. Memory safety: a
 * script is kept alive until its call has ended, and a record is copied out of the library before the next call.
 */
import { readFile } from 'node:fs/promises';
import koffi from 'koffi';
import { SkippedError } from '../errors.ts';
import { buildHand } from './build.ts';
import { type Hand, HandRefusal } from './hand.ts';

/**
 * Builds and loads the library, and opens /dev/kvm.
 *
 * @throws SkippedError when it is absent or may not be opened.
 */
export async function openLibraryHand(): Promise<Hand> {
  const { path } = await buildHand('library');
  const library = koffi.load(path);
  const open = library.func('int hand_open(const char *device)');
  const errno: number = open('/dev/kvm');
  if (errno !== 0) throw new SkippedError(`/dev/kvm: ${errnoName(errno)}`);
  const run = library.func('long hand_run_on_thread(const uint8_t *bytes, size_t length, _Out_ void **at)');
  let last: Promise<unknown> = Promise.resolve();
  const runOne = (script: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const place: unknown[] = [null];
      run.async(script, script.length, place, (error: Error | null, length: number) => {
        if (error !== null) reject(error);
        else if (length < 0) reject(new HandRefusal(koffi.decode(place[0], 'char', -1) as string));
        else if (length === 0) resolve(Buffer.alloc(0));
        else resolve(Buffer.from(new Uint8Array(koffi.view(place[0], length))));
      });
    });
  return {
    run: (script) => {
      // One at a time: the library has one record.
      const result = last.then(() => runOne(script));
      last = result.catch(() => undefined);
      return result;
    },
    readFile: (file) => readFile(file, 'latin1').catch(() => null),
  };
}

function errnoName(errno: number): string {
  return Object.entries(koffi.os.errno).find(([, code]) => code === errno)?.[0] ?? `errno ${errno}`;
}
