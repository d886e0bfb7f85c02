/**
 * The system calls that KVM needs. koffi is loaded here and nowhere else; pointers do not leave `src/kvm/`.
 * Memory safety: every buffer that goes to the kernel is at least as large as the structure its ioctl number encodes
 * (`uapi.ts` makes both from the same figure), and koffi keeps it alive for the duration of the call.
 */
import koffi from 'koffi';

const libc = koffi.load('libc.so.6');
const openFn = libc.func('int open(const char *path, int flags)');
const closeFn = libc.func('int close(int fd)');
const ioctlBuffer = libc.func('ioctl', 'int', ['int', 'unsigned long', 'void *']);
const ioctlNumber = libc.func('ioctl', 'int', ['int', 'unsigned long', 'long']);
const mmapFn = libc.func('void *mmap(void *addr, size_t length, int prot, int flags, int fd, long offset)');
const munmapFn = libc.func('int munmap(void *addr, size_t length)');
const syscallFn = libc.func('long syscall(long number, int first, int second, int third)');
const setitimerFn = libc.func('int setitimer(int which, void *value, void *old)');
const initModuleFn = libc.func('syscall', 'long', ['long', 'void *', 'unsigned long', 'const char *']);

export const EINTR = 4;
export const EAGAIN = 11;
const EEXIST = 17;
const errnoNames = new Map(Object.entries(koffi.os.errno).map(([name, code]) => [code, name]));

/** A system call that failed: which, and with what errno. */
export class KvmError extends Error {
  override name = 'KvmError';
  readonly call: string;
  readonly errno: number;

  constructor(call: string, errno: number) {
    super(`${call}: ${errnoNames.get(errno) ?? `errno ${errno}`}`);
    this.call = call;
    this.errno = errno;
  }
}

const O_RDWR = 2;
const O_CLOEXEC = 0o2000000;

/**
 * Opens a file for reading and writing.
 *
 * @throws KvmError
 */
export function openFile(path: string): number {
  const fd: number = openFn(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) throw new KvmError(`open ${path}`, koffi.errno());
  return fd;
}

export function closeFile(fd: number): void {
  closeFn(fd);
}

/** Number of init_module (arch/x86/entry/syscalls/syscall_64.tbl); the C library has no function for it. */
const SYS_init_module = 175;

/**
 * Loads a module into the kernel that we run on; one that is loaded already stays.
 *
 * @param parameters as on insmod's command line.
 * @throws KvmError: ENOEXEC for a module of another kernel, EOPNOTSUPP where it finds no hardware.
 */
export function loadKernelModule(image: Buffer, parameters: string): void {
  const result: number = initModuleFn(SYS_init_module, image, image.length, parameters);
  if (result < 0 && koffi.errno() !== EEXIST) throw new KvmError('init_module', koffi.errno());
}

/**
 * An ioctl with a structure or a number as argument; the result is not negative.
 *
 * @throws KvmError named `name`
 */
export function ioctl(fd: number, request: number, argument: Buffer | number, name: string): number {
  const result = tryIoctl(fd, request, argument);
  if (result < 0) throw new KvmError(name, koffi.errno());
  return result;
}

/** An ioctl whose failure is an answer: the result, or minus errno. */
export function tryIoctl(fd: number, request: number, argument: Buffer | number): number {
  const result: number =
    typeof argument === 'number' ? ioctlNumber(fd, request, argument) : ioctlBuffer(fd, request, argument);
  return result < 0 ? -koffi.errno() : result;
}

/** An ioctl on a thread of libuv's pool: the result, or minus errno. */
export function ioctlOnThread(fd: number, request: number, argument: number): Promise<number> {
  return new Promise((resolve, reject) => {
    ioctlNumber.async(fd, request, argument, (error: Error | null, result: number) => {
      if (error !== null) reject(error);
      else resolve(result < 0 ? -koffi.errno() : result);
    });
  });
}

const SYS_tgkill = 234;
/** What `signalThread` sends: nobody else uses it, and its default action would end the process. */
export const wakingSignal = 'SIGUSR2';
const wakingSignalNumber = 12;

/** Sends `wakingSignal`, for which there must be a handler, to a thread of this process; one that is gone gets nothing. */
export function signalThread(tid: number): void {
  syscallFn(SYS_tgkill, process.pid, tid, wakingSignalNumber);
}

const ITIMER_REAL = 0;

/** A struct itimerval with the same time to the first signal and between signals; 0 for none. */
export function timerOf(ms: number): Buffer {
  const timer = Buffer.alloc(32);
  const [seconds, microseconds] = [BigInt(Math.floor(ms / 1000)), BigInt((ms % 1000) * 1000)];
  // Two struct timeval.
  for (const at of [0, 16]) {
    timer.writeBigInt64LE(seconds, at);
    timer.writeBigInt64LE(microseconds, at + 8);
  }
  return timer;
}

/** Sends SIGALRM, for which there must be a handler, to this process again and again (setitimer(2)). */
export function setTimer(timer: Buffer): void {
  if (setitimerFn(ITIMER_REAL, timer, null) < 0) throw new KvmError('setitimer', koffi.errno());
}

const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_PRIVATE_ANONYMOUS = 0x22;

/** Mapped memory that this object owns; `bytes` must not be used after disposal. */
export class Mapping implements Disposable {
  readonly address: bigint;
  readonly bytes: Buffer;

  /** Maps `length` bytes of a file from its start, or anonymous memory when `fd` is null. */
  constructor(length: number, fd: number | null) {
    const flags = fd === null ? MAP_PRIVATE_ANONYMOUS : MAP_SHARED;
    const address: bigint = mmapFn(null, length, PROT_READ_WRITE, flags, fd ?? -1, 0);
    if (address === 0xffff_ffff_ffff_ffffn) throw new KvmError('mmap', koffi.errno());
    this.address = address;
    this.bytes = Buffer.from(koffi.view(address, length));
  }

  [Symbol.dispose](): void {
    munmapFn(this.address, this.bytes.length);
  }
}
