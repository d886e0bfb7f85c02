/**
 * The program that runs inside the lab. It loads the modules of the KVM under test, takes batches from the channel, has
 * them executed by that KVM, and sends back what was seen. Reads and writes block: nothing else goes on here.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, openSync, readdirSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { type KvmExecutor, openKvmExecutor } from '../executor/kvm-executor.ts';
import { loadKernelModule } from '../kvm/libc.ts';
import { noteMark } from './console/note-mark.ts';
import {
  decodeModules,
  encodeFrame,
  type ExecEnd,
  type Frame,
  FrameDecoder,
  type FrameKind,
  portName,
} from './protocol.ts';

/** Buffers that reads share; a read of the port gives a page at most. */
const bufferBytes = 256 * 1024;
const readBytesMin = 4096;

await main();

async function main(): Promise<void> {
  const port = openPort();
  const send = (kind: FrameKind, payload: Buffer | string): void => writeAll(port, encodeFrame(kind, payload));
  send('waiting', '');
  let executor: KvmExecutor | null = null;
  for (const frame of readFrames(port)) {
    if (executor !== null) {
      await answer(frame, executor, send);
      continue;
    }
    if (frame.kind !== 'modules') return fail(`the agent got ${frame.kind} before its modules`);
    const parameters = loadModules(frame.payload);
    try {
      executor = openKvmExecutor('lab', parameters);
    } catch (error) {
      return sendError(send, error);
    }
    bringCpusOnline();
    send('ready', JSON.stringify(executor.facts));
  }
}

/** Frames as they come, until the host side is gone. */
function* readFrames(port: number): Generator<Frame> {
  const decoder = new FrameDecoder();
  let free = Buffer.alloc(0);
  for (;;) {
    if (free.length < readBytesMin) free = Buffer.allocUnsafeSlow(bufferBytes);
    const count = readSync(port, free, 0, free.length, null);
    if (count === 0) return;
    yield* decoder.push(free.subarray(0, count));
    free = free.subarray(count);
  }
}

/**
 * Loads the modules of the KVM under test, and returns the parameters that they were given; ends this process when there is
 * no /dev/kvm then.
 */
function loadModules(payload: Buffer): string {
  const isIntel = readFileSync('/proc/cpuinfo', 'latin1').includes('GenuineIntel');
  const foreign = isIntel ? 'kvm-amd.ko' : 'kvm-intel.ko';
  let complaint: string | null = null;
  const given = new Set<string>();
  for (const { file, parameters, bytes } of decodeModules(payload)) {
    if (file === foreign) continue;
    for (const parameter of parameters.split(' ')) given.add(parameter);
    try {
      loadKernelModule(bytes, parameters);
    } catch (error) {
      complaint ??= `${file}: ${(error as Error).message}${wordsOfKernel(file)}`;
    }
  }
  if (existsSync('/dev/kvm')) return [...given].join(' ').trim();
  fail(`no /dev/kvm: ${complaint ?? 'the kernel has no KVM for this CPU, and no module was given'}`);
}

/** What the kernel last printed about a module, in parentheses. */
function wordsOfKernel(file: string): string {
  const mark = `${file.replace(/\.ko$/, '').replaceAll('-', '_')}: `;
  const lines = spawnSync('/bin/dmesg', { encoding: 'utf8' }).stdout.split('\n');
  const line = lines.findLast((each) => each.includes(mark));
  return line === undefined ? '' : ` (${line.replace(/^\[[^\]]*\] */, '')})`;
}

/** Says on the console what the host side makes its error of, and ends. */
function fail(text: string): never {
  process.stderr.write(`${noteMark}${text}\n`);
  process.exit(1);
}

type Send = (kind: FrameKind, payload: Buffer | string) => void;

async function answer({ kind, payload }: Frame, executor: KvmExecutor, send: Send): Promise<void> {
  try {
    if (kind === 'run') send('observations', await executor.runBatch(payload));
    else if (kind === 'exec') send('ended', JSON.stringify(await runProgram(JSON.parse(payload.toString()), send)));
    else throw new Error(`the agent got a frame of kind ${kind}`);
  } catch (error) {
    sendError(send, error);
  }
}

/** The host side throws an error of the same class. */
function sendError(send: Send, error: unknown): void {
  const { name, message } = error as Error;
  send(name === 'SkippedError' ? 'skipped' : 'failed', message);
}

function runProgram(argv: string[], send: Send): Promise<ExecEnd> {
  const [program, ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', (bytes: Buffer) => send('output', bytes));
    child.stderr.on('data', (bytes: Buffer) => send('output', bytes));
    child.on('error', reject);
    child.on('close', (code, signal) => resolve({ exitCode: code ?? 128 + constants.signals[signal!] }));
  });
}

/**
 * The kernel boots with one CPU (`maxcpus=1`); the others come now, when the executor holds everything whose first and last
 * user makes KVM patch the kernel's code. Emulated CPUs that meet a half-patched instruction panic.
 */
function bringCpusOnline(): void {
  const folder = '/sys/devices/system/cpu';
  for (const name of listFolder(folder)) {
    const file = `${folder}/${name}/online`;
    if (/^cpu\d+$/.test(name) && existsSync(file) && readFileSync(file, 'latin1').trim() === '0')
      writeFileSync(file, '1');
  }
}

/** Opens the virtio-serial port; its number depends on the kernel, its name does not. */
function openPort(): number {
  const folder = '/sys/class/virtio-ports';
  const ports = listFolder(folder);
  const device = ports.find((port) => readFileSync(`${folder}/${port}/name`, 'latin1').trim() === portName);
  if (device === undefined) {
    const needed = 'CONFIG_VIRTIO_PCI and CONFIG_VIRTIO_CONSOLE';
    fail(`no virtio-serial port in the lab: the kernel needs ${needed}`);
  }
  return openSync(`/dev/${device}`, 'r+');
}

function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

function writeAll(fd: number, bytes: Buffer): void {
  for (let sent = 0; sent < bytes.length;) sent += writeSync(fd, bytes, sent);
}
