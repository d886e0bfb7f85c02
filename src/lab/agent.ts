/**
 * The program that runs inside the lab. It takes batches from the channel, has them executed by the KVM of the kernel
 * that it runs on, and sends back what was seen. Reads and writes block: nothing else goes on here.
 */
import { spawn } from 'node:child_process';
import { openSync, readdirSync, readFileSync, readSync, writeSync } from 'node:fs';
import { constants } from 'node:os';
import { type KvmExecutor, openKvmExecutor } from '../executor/kvm-executor.ts';
import { encodeFrame, type ExecEnd, type Frame, FrameDecoder, type FrameKind } from './protocol.ts';

/** As in qemu.ts, which belongs to the host side. */
const portName = 'hvipi';
const readBytes = 1024 * 1024;

await main();

async function main(): Promise<void> {
  const port = openPort();
  const send = (kind: FrameKind, payload: Buffer | string): void => writeAll(port, encodeFrame(kind, payload));
  let executor: KvmExecutor;
  try {
    executor = openKvmExecutor('lab');
  } catch (error) {
    sendError(send, error);
    return;
  }
  send('ready', JSON.stringify(executor.facts));
  const decoder = new FrameDecoder();
  for (;;) {
    const bytes = Buffer.allocUnsafe(readBytes);
    const count = readSync(port, bytes, 0, readBytes, null);
    // The host side is gone.
    if (count === 0) return;
    for (const frame of decoder.push(bytes.subarray(0, count))) await answer(frame, executor, send);
  }
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

/** Opens the virtio-serial port; its number depends on the kernel, its name does not. */
function openPort(): number {
  const folder = '/sys/class/virtio-ports';
  const ports = listFolder(folder);
  const device = ports.find((port) => readFileSync(`${folder}/${port}/name`, 'latin1').trim() === portName);
  if (device === undefined) {
    const needed = 'CONFIG_VIRTIO_PCI and CONFIG_VIRTIO_CONSOLE';
    process.stderr.write(`hvipi-lab: no virtio-serial port in the lab: the kernel needs ${needed}\n`);
    process.exit(1);
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
