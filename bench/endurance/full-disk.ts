/** A disk that runs full in the middle of everything: a small tmpfs, a file that fills it, somebody who makes room. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** How long after the complaint there is room again. */
const roomAfterMs = 3000;

export class SmallDisk implements Disposable {
  readonly path: string;
  /** Whether somebody complained that it is full. */
  wasFull = false;

  /** @throws Error when nobody is root. */
  constructor(mebibytes: number) {
    this.path = mkdtempSync(join(tmpdir(), 'hvipi-troubles-'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'hvipi-bench', this.path]);
    if (mounted.status !== 0) throw new Error('cannot mount a tmpfs; be root');
  }

  fill(): void {
    for (const size of [65_536, 4096, 1]) {
      try {
        for (;;) writeFileSync(this.#filler, Buffer.alloc(size), { flag: 'a' });
      } catch {
        // Full, for this size.
      }
    }
  }

  /** Takes a campaign's complaint; there is room a while later. */
  complain(): void {
    this.wasFull = true;
    setTimeout(() => rmSync(this.#filler, { force: true }), roomAfterMs);
  }

  [Symbol.dispose](): void {
    spawnSync('umount', [this.path]);
    rmdirSync(this.path);
  }

  get #filler(): string {
    return join(this.path, 'filler');
  }
}
