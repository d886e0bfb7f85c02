/**
 * The script's format, declared once. A script is a list of operations: a code of one byte, then the fields in this order,
 * little-endian and without padding. The hand's side (`operations.h`, `operations.c`) is generated from this table
 * (`header.ts`), and `script.ts` writes by it. What an operation does, and what it appends to the record, stands in the function
 * of its name (`do_run` for `run`).
 */

/** `bytes`: a length of 32 bits, then that many bytes. `skip`: 32 bits, how many bytes of script follow that may be left out. */
export type FieldType = 'u8' | 'u16' | 'u32' | 'u64' | 'bytes' | 'skip';

type Fields = Readonly<Record<string, FieldType>>;

/** Field by field; the place in this table is the operation's code. */
export const operations = {
  /** Begins a case: a record of its own. `length`: bytes of script up to the next case. */
  case: { number: 'u32', length: 'u32' },

  // Objects, by number. A number that is in use is refused, and so is one that is not.
  /** Keeps bytes in a slot, for ioctls and memory. */
  keep: { slot: 'u32', bytes: 'bytes' },
  createVm: { vm: 'u32', memoryBytes: 'u32' },
  /** A VM that has the memory of another one, and its copy: both see what either of them writes. */
  createTwin: { vm: 'u32', of: 'u32' },
  memslot: { vm: 'u32', slot: 'u32', flags: 'u32', gpa: 'u64', size: 'u32', offset: 'u32' },
  createVcpu: { vcpu: 'u32', vm: 'u32', id: 'u32', regs: 'u8' },
  /** A VM and its vCPUs; not while one of them runs. `later`: whatever comes next does not wait for it. */
  dropVm: { vm: 'u32', later: 'u8' },
  /** Drops all VMs from a number on, and all slots. */
  reset: { firstVm: 'u32' },
  /** Two VMs swap their numbers, and so do as many of their vCPUs, from two numbers on. Neither runs. */
  swapVms: { vm: 'u32', otherVm: 'u32', vcpu: 'u32', otherVcpu: 'u32', count: 'u32' },

  // ioctls. `record`: 0 it must succeed, else the case ends; 1 the result or minus errno; 2 that, and the argument afterwards.
  ioctl: { kind: 'u8', object: 'u32', request: 'u32', record: 'u8', argument: 'bytes' },
  ioctlValue: { kind: 'u8', object: 'u32', request: 'u32', record: 'u8', value: 'u64' },
  /**
   * The argument is a kept slot with patches; it is given so many times. With `unlessSame` not where the vCPU's structure was
   * last seen to be that slot (`ioctlKeep`, or an `ioctlDiff` without difference) and nothing has run or been set since.
   */
  ioctlKept: { vcpu: 'u32', request: 'u32', slot: 'u32', times: 'u8', unlessSame: 'u8', patches: 'bytes' },
  /** Reads a structure of so many bytes, patches it, and sets it. */
  ioctlPatch: { vcpu: 'u32', get: 'u32', set: 'u32', size: 'u32', patches: 'bytes' },
  /** Reads a structure of one vCPU and sets it, with patches, on another. `argument` is what it is read into. */
  ioctlMove: { from: 'u32', to: 'u32', get: 'u32', set: 'u32', argument: 'bytes', patches: 'bytes' },
  /** Reads a structure into a slot. */
  ioctlKeep: { vcpu: 'u32', get: 'u32', size: 'u32', slot: 'u32' },
  /** Reads a structure and records its 32-bit words that differ from a slot with patches, within one or two ranges. */
  ioctlDiff: {
    vcpu: 'u32',
    get: 'u32',
    slot: 'u32',
    start: 'u32',
    end: 'u32',
    secondStart: 'u32',
    secondEnd: 'u32',
    patches: 'bytes',
  },

  // Guest memory, and a copy of it: what memory should hold. `where`: `memoryParts`, one or both.
  write: { vm: 'u32', where: 'u8', offset: 'u32', bytes: 'bytes' },
  writeKept: { vm: 'u32', where: 'u8', offset: 'u32', slot: 'u32' },
  /** The same bytes to one place of memory and to another place of the copy, where the guest is to leave them. */
  writeAndExpect: { vm: 'u32', offset: 'u32', expectedAt: 'u32', bytes: 'bytes' },
  /** A word of 64 bits in memory. */
  put: { vm: 'u32', offset: 'u32', value: 'u64' },
  /** Records a word of 64 bits of memory. */
  readWord: { vm: 'u32', offset: 'u32' },
  zero: { vm: 'u32', offset: 'u32', length: 'u32' },
  /** Records 64-bit words that differ from the copy, at most `most`; memory becomes the copy again where `restore` is set. */
  diff: { vm: 'u32', offset: 'u32', length: 'u32', stride: 'u32', count: 'u32', restore: 'u8', most: 'u32' },
  /** Records as many bytes of one or two places as a word says, which becomes 0. */
  takeLog: { vm: 'u32', lengthAt: 'u32', most: 'u32', first: 'u32', second: 'u32' },

  // vCPUs.
  /** Gives all registers: special ones as they are, with patches out of a slot; general ones in full (struct kvm_regs). */
  enter: { vcpu: 'u32', specialPatches: 'u32', general: 'bytes' },
  /** Behind `enter`: a register of struct kvm_regs is what a word of memory holds. */
  loadRegister: { vcpu: 'u32', register: 'u8', offset: 'u32' },
  /**
   * Runs a vCPU until it writes to one of two ports; on a thread unless that is 0. Hypercalls that leave the guest are answered,
   * once for each value of the word at `watch`, or once where that is 0. Another exit ends the case, at once or, where `lenient` is set, at `settle`.
   */
  run: {
    vcpu: 'u32',
    thread: 'u8',
    port: 'u16',
    otherPort: 'u16',
    answer: 'u64',
    watch: 'u32',
    lenient: 'u8',
  },
  settle: {},
  /** Lets KVM complete the vCPU's last exit without entering the guest (kvm_run.immediate_exit). */
  completeExit: { vcpu: 'u32' },
  /** KVM_RUN with a signal pending: KVM sets out for the guest and turns back. What was to be done by the last exit is done first. */
  interruptedRun: { vcpu: 'u32' },
  /** Records the general registers that differ from the given ones. */
  registersDiff: { vcpu: 'u32', general: 'bytes' },
  /** Records bytes of memory from where a register of struct kvm_regs points to. */
  readAtRegister: { vcpu: 'u32', register: 'u8', length: 'u32' },

  // Threads, 1 to 16. Each runs one vCPU at a time.
  start: { thread: 'u8', vcpu: 'u32' },
  /** Sends a signal to a thread that runs, so many times with so many microseconds between: it comes out of KVM_RUN and goes back. */
  disturb: { thread: 'u8', times: 'u8', microseconds: 'u32' },
  /** Waits until a word of memory is not 0, and records a 1; the case ends when it stays 0. */
  waitForWord: { vm: 'u32', offset: 'u32', milliseconds: 'u32' },
  /**
   * Waits until each of these threads is done or asleep in KVM_RUN with a word of memory not 0; records whether it came to
   * that, and if not a byte for each thread: bit 0 that its condition holds, bit 1 that it is done (`encodeConditions`).
   */
  wait: { milliseconds: 'u32', required: 'u8', conditions: 'bytes' },
  /** Makes a VM's ioctl every millisecond until a thread is done, and records a 1; the case ends when it does not get done. */
  fetch: { thread: 'u8', vm: 'u32', request: 'u32', milliseconds: 'u32', argument: 'bytes' },
  /** Gets a thread out of KVM_RUN without waking its guest; records whether there was an exit of the guest's own. */
  stop: { thread: 'u8', milliseconds: 'u32' },
  /** Looks at a vCPU's last exit as `run` does. */
  exit: { vcpu: 'u32', port: 'u16', lenient: 'u8' },
  /**
   * Waits until a thread is done. Where it sleeps after some time although a word of memory is not 0, what follows is done
   * instead of left out; where it sleeps for ever, the case ends.
   */
  waitForWakeUp: { thread: 'u8', vm: 'u32', wordAt: 'u32', patience: 'u32', milliseconds: 'u32', skip: 'skip' },

  // What follows is done where something holds, and left out elsewhere; one byte records which.
  /** Memory holds these bytes. */
  ifBytes: { vm: 'u32', offset: 'u32', bytes: 'bytes', skip: 'skip' },
  /** Notes whether the vCPU's LAPIC is enabled and holds a vector in IRR that it can take; it records nothing. */
  noteDeliverable: { vcpu: 'u32' },
  /** That was noted, or the opposite where `value` is 0. */
  ifNoted: { value: 'u8', skip: 'skip' },
  /** The vCPU's LAPIC holds a vector in IRR. */
  ifPending: { vcpu: 'u32', skip: 'skip' },
  /** The vCPU's last exit was a write to this port. */
  ifPort: { vcpu: 'u32', port: 'u16', skip: 'skip' },
  /** A `wait` that is required did not come to what it waits for. */
  ifMissed: { skip: 'skip' },
  /** Ends the case; its VMs are not used again. */
  giveUp: {},
  /** Does nothing for so long. */
  pause: { milliseconds: 'u32' },
} as const satisfies Readonly<Record<string, Fields>>;

export type OperationName = keyof typeof operations;

/** Values of the fields of an operation. */
export type FieldsOf<Name extends OperationName> = {
  readonly [Field in keyof (typeof operations)[Name]]: (typeof operations)[Name][Field] extends 'bytes'
    ? Uint8Array
    : (typeof operations)[Name][Field] extends 'u64'
      ? bigint | number
      : number;
};

/** Bits of `where`. */
export const memoryParts = { memory: 1, copy: 2 } as const;

/** Of each condition of a `wait`. */
export const conditionBytes = 10;

/** What a descriptor of an `ioctl` is. */
export const objectKinds = { system: 0, vm: 1, vcpu: 2 } as const;

/** How many objects of each kind there may be. */
export const handLimits = {
  vms: 64,
  vcpus: 4096,
  slots: 16384,
  threads: 16,
  slotBytes: 65536,
  /** Of all slots together. */
  slotBytesTotal: 64 * 1024 * 1024,
  memoryBytes: 256 * 1024 * 1024,
  /** Of all VMs together; their copies are as much again. */
  memoryBytesTotal: 1024 * 1024 * 1024,
  /** How long an operation may wait. */
  milliseconds: 30_000,
  scriptBytes: 64 * 1024 * 1024,
  recordBytes: 64 * 1024 * 1024,
} as const;

/** How a case ended: the byte behind its number in the record. */
export const endings = {
  done: 0,
  /** An exit that the script does not expect. */
  unexpected: 1,
  /** An ioctl that must succeed failed: its request and errno are the last of the record. */
  failed: 2,
  /** A KVM_RUN that made no exit was given up; no case behind it was run. */
  endless: 3,
  /** A vCPU did not come to where the script waits for it. */
  lost: 4,
  /** Its VM was left in a state that nothing starts from, by a case before it. */
  skipped: 5,
} as const;
export type Ending = keyof typeof endings;
