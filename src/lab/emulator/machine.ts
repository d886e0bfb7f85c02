/** One process of an emulator: its private folder, its console, the channel to the hand, its state, and its end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream, existsSync, readdirSync, readFileSync, rmSync, type WriteStream } from 'node:fs';
import { copyFile, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { InfrastructureError } from '../../errors.ts';
import { atExit } from '../../system/at-exit.ts';
import { ConsoleWatch, type ConsoleListener } from '../console/console-watch.ts';
import { withFileErrors } from '../../system/file-errors.ts';
import type { Computer, Emulator, Wiring } from './emulator.ts';
import { findProgram } from '../../system/packages/tools.ts';

/** A console that runs wild must not fill the disk. */
const consoleBytesMax = 16 * 1024 * 1024;

/** How long a computer goes on when nothing is awaited of it. */
const idleMs = 200;

export interface MachineOptions {
  readonly emulator: Emulator;
  readonly bzImage: string;
  readonly cpus: 1 | 2;
  readonly origin: Origin;
  readonly listener: MachineListener;
}

/** What the computer starts from: a boot, which may keep its memory in a file, or the state of one that booted. */
export type Origin =
  | {
      readonly kind: 'boot';
      /** Writes the initramfs to this path. */
      readonly writeInitramfs: (path: string) => Promise<void>;
      readonly memory: string | null;
    }
  | { readonly kind: 'state'; readonly files: StateFiles };

/** Where the parts of a saved state are. */
export interface StateFiles {
  /** The memory: a sparse file. */
  readonly memory: string;
  /** Everything else of the computer. */
  readonly devices: string;
  /** What the console had printed. */
  readonly console: string;
}

export interface MachineListener extends ConsoleListener {
  /** Bytes from the hand. */
  received(bytes: Buffer): void;
  /** The emulator has ended; text of its own complaint, or "". */
  ended(complaint: string): void;
}

export class Machine implements AsyncDisposable {
  readonly console: ConsoleWatch;
  readonly #folder: string;
  readonly #process: ChildProcess;
  readonly #wiring: Wiring;
  readonly #log: WriteStream;
  readonly #forget: () => void;
  readonly #gone: Promise<void>;
  readonly #emulator: Emulator;
  #stopTimer: NodeJS.Timeout | null = null;
  #isStopped = false;
  #logBytes = 0;
  #stderr = '';

  /**
   * Starts the emulator.
   *
   * @throws InfrastructureError when the temporary folder cannot be used or the emulator cannot be started.
   */
  static async start(options: MachineOptions): Promise<Machine> {
    const { emulator, origin, listener } = options;
    const folder = await withFileErrors(tmpdir(), () => mkdtemp(join(tmpdir(), 'hvipi-lab-')));
    try {
      if (origin.kind === 'boot') await origin.writeInitramfs(join(folder, 'initrd'));
      const computer = computerOf(options, folder);
      let machine: Machine | null = null;
      const wiring = await emulator.prepare(folder, computer, {
        received: (bytes) => listener.received(bytes),
        printed: (text) => machine!.#onConsole(text),
      });
      return (machine = new Machine(options, folder, computer, wiring));
    } catch (error) {
      await rm(folder, { recursive: true, force: true });
      throw error;
    }
  }

  private constructor(options: MachineOptions, folder: string, computer: Computer, wiring: Wiring) {
    this.#folder = folder;
    this.#emulator = options.emulator;
    this.#wiring = wiring;
    this.console = new ConsoleWatch(options.listener);
    this.#log = createWriteStream(this.logPath);
    this.#log.on('error', () => undefined);
    const { origin } = options;
    if (origin.kind === 'state') {
      this.#onConsole(readFileSync(origin.files.console, 'latin1'));
      this.console.finish();
    }
    wiring.expect(true);
    this.#process = spawnEmulator(options.emulator, computer, folder);
    this.#forget = atExit(() => {
      this.#process.kill('SIGKILL');
      rmSync(folder, { recursive: true, force: true });
    });
    this.#process.stdout!.setEncoding('latin1').on('data', (text: string) => this.#onConsole(text));
    this.#process.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-4000);
    });
    this.#gone = new Promise((resolve) => {
      const end = (error?: Error): void => {
        wiring.ended();
        this.console.finish();
        const { signalCode } = this.#process;
        const how = signalCode === null ? '' : `killed by ${signalCode}`;
        options.listener.ended(error?.message ?? (lastLine(this.#stderr) || how));
        resolve();
      };
      this.#process.once('error', end).once('close', () => end());
    });
  }

  /** Everything that the console printed. */
  get logPath(): string {
    return join(this.#folder, 'console.log');
  }

  /** Sends bytes to the hand, which reads them when it can. */
  send(bytes: Buffer): void {
    this.#wiring.send(bytes);
  }

  get title(): string {
    return this.#emulator.title;
  }

  /**
   * Whether an answer of the hand is awaited. An emulator that computes even when its computer has nothing to do is stopped while
   * none is, a little later, so that what the kernel says by itself is heard.
   */
  expect(isExpected: boolean): void {
    if (this.#stopTimer !== null) clearTimeout(this.#stopTimer);
    this.#stopTimer = null;
    if (isExpected) {
      this.#wiring.expect(true);
      if (this.#isStopped) this.#process.kill('SIGCONT');
      this.#isStopped = false;
    } else {
      this.#stopTimer = setTimeout(() => {
        this.#wiring.expect(false);
        this.#isStopped = this.#emulator.isBusyWhenIdle && this.#process.kill('SIGSTOP');
      }, idleMs);
      this.#stopTimer.unref();
    }
  }

  /** Milliseconds that the emulator's threads, taken together, have waited for a CPU; 0 where the kernel does not say. */
  starvedMs(): number {
    return schedulerMs(this.#process.pid, 1);
  }

  /** Milliseconds that the emulator's threads, taken together, have had a CPU; 0 where the kernel does not say. */
  cpuMs(): number {
    return schedulerMs(this.#process.pid, 0);
  }

  /** The kernel answers an NMI with a panic that prints where it was (`unknown_nmi_panic`). */
  sendNmi(): void {
    void this.#wiring.control.then((control) => control.sendNmi()).catch(() => undefined);
  }

  /**
   * Saves the state and ends the emulator; a memory of its own is in its file already.
   *
   * @throws InfrastructureError when the emulator cannot.
   */
  async save({ memory, devices, console }: StateFiles): Promise<void> {
    // Nothing is asked of the hand any more, but the emulator must not be stopped now.
    this.expect(true);
    await (await this.#wiring.control).save(devices);
    await this.#gone;
    if (this.#process.exitCode !== 0 || !existsSync(devices))
      throw new InfrastructureError(`${this.#emulator.title} saved nothing`);
    await digHoles(memory);
    await copyFile(this.logPath, console);
  }

  /**
   * Lets a machine that was started from a saved state go on.
   *
   * @throws InfrastructureError when the emulator cannot.
   */
  async load(): Promise<void> {
    const control = await Promise.race([this.#wiring.control, this.#gone]);
    if (control === undefined) {
      throw new InfrastructureError(`${this.#emulator.title} ended: ${lastLine(this.#stderr)}`);
    }
    await control.load();
  }

  /** The initramfs is no longer needed on disk once the kernel runs. */
  async dropInitramfs(): Promise<void> {
    await rm(join(this.#folder, 'initrd'), { force: true });
  }

  /** Saves the console's log outside of the folder that goes away, and returns its path. */
  async keepLog(): Promise<string> {
    await new Promise((resolve) => this.#log.write('', resolve));
    const kept = `${this.#folder}.console.log`;
    await rename(this.logPath, kept).catch(() => undefined);
    return kept;
  }

  /** Kills the emulator and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#stopTimer !== null) clearTimeout(this.#stopTimer);
    this.#process.kill('SIGKILL');
    await this.#gone;
    this.#wiring.close();
    this.#log.destroy();
    await rm(this.#folder, { recursive: true, force: true });
    this.#forget();
  }

  #onConsole(text: string): void {
    this.#logBytes += text.length;
    if (this.#logBytes <= consoleBytesMax) this.#log.write(text, 'latin1');
    this.console.feed(text);
  }
}

function computerOf({ bzImage, cpus, origin }: MachineOptions, folder: string): Computer {
  const isBoot = origin.kind === 'boot';
  const memory = isBoot ? origin.memory : origin.files.memory;
  return {
    bzImage,
    initrd: isBoot ? join(folder, 'initrd') : null,
    state: isBoot ? null : origin.files.devices,
    memory: memory === null ? null : { path: memory, isWritten: isBoot },
    hasChannel: true,
    cpus,
  };
}

function spawnEmulator(emulator: Emulator, computer: Computer, folder: string): ChildProcess {
  const [command, ...first] = dyingWithUs(emulator.path);
  // Detached: Ctrl-C in the terminal goes to us alone, and we end the emulator when we are through with it.
  return spawn(command, [...first, ...emulator.arguments(computer)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    cwd: folder,
    env: { ...process.env, ...emulator.environment },
  });
}

/**
 * The beginning of a command line that runs a program which the kernel kills with us, even when we get no chance to:
 * setpriv is in util-linux, which every Debian has.
 */
export function dyingWithUs(program: string): [string, ...string[]] {
  const setpriv = findProgram('setpriv');
  return setpriv === null ? [program] : [setpriv, '--pdeathsig', 'KILL', program];
}

/**
 * Sum over a process's threads of a field of their schedstat: 0 time on a CPU, 1 time of waiting for one, in nanoseconds
 * (Documentation/scheduler/sched-stats.rst).
 */
function schedulerMs(pid: number | undefined, field: 0 | 1): number {
  try {
    const tasks = `/proc/${pid}/task`;
    const times = readdirSync(tasks).map(
      (task) => readFileSync(`${tasks}/${task}/schedstat`, 'utf8').split(' ')[field],
    );
    return times.reduce((sum, time) => sum + Number(time), 0) / 1e6;
  } catch {
    return 0;
  }
}

/** Gives back what a file needs for pages of zeros. Without fallocate (util-linux) it only takes more of the disk. */
async function digHoles(path: string): Promise<void> {
  const fallocate = findProgram('fallocate');
  if (fallocate !== null) await execa(fallocate, ['--dig-holes', path], { reject: false });
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)!.trim();
}
