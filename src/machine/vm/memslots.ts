/** Where a VM has its memory in the guest's address space, and how a VMM changes that while the VM lives. */
import { memslotsOf } from '../../guest/memory-map.ts';
import type { Script } from '../../hand/script.ts';
import { KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY } from '../../hand/uapi.ts';
import type { ProgramOf } from '../../program/program.ts';

/** Far above what a guest program has; 37 bits, which every CPU with SVM or EPT has. */
const elsewhere = 1n << 36n;

/** Gives a VM for so many vCPUs its memory. */
export function addMemslots(script: Script, vm: number, vcpuCount: number): void {
  setMemslots(script, vm, vcpuCount, {});
}

export class Memslots {
  readonly #vm: number;
  readonly #vcpuCount: number;
  /** Whether a step has turned dirty logging on. */
  #isLogged = false;

  constructor(vm: number, vcpuCount: number) {
    this.#vm = vm;
    this.#vcpuCount = vcpuCount;
  }

  /** As a program finds them. */
  setUp(script: Script): void {
    if (this.#isLogged) this.#set(script, {});
    this.#isLogged = false;
  }

  /**
   * Changes them: `log-dirty` flags alone (KVM_MR_FLAGS_ONLY); `move` and `remake` take memory away for a while, so that no vCPU may
   * run meanwhile (KVM_MR_MOVE; KVM_MR_DELETE and KVM_MR_CREATE).
   */
  change(script: Script, does: Exclude<ProgramOf<'vmm'>['does'], 'complete' | 'interrupt'>): void {
    this.#isLogged = does === 'log-dirty' && !this.#isLogged;
    if (does === 'move') this.#set(script, { moves: true });
    if (does === 'remake') this.#set(script, { deletes: true });
    this.#set(script, { logs: this.#isLogged });
  }

  #set(script: Script, how: Manner): void {
    setMemslots(script, this.#vm, this.#vcpuCount, how);
  }
}

interface Manner {
  readonly logs?: boolean;
  readonly moves?: boolean;
  readonly deletes?: boolean;
}

function setMemslots(
  script: Script,
  vm: number,
  vcpuCount: number,
  { logs = false, moves = false, deletes = false }: Manner,
): void {
  for (const [slot, { gpa, bytes, readOnly, offset }] of memslotsOf(vcpuCount).entries()) {
    const flags = (readOnly ? KVM_MEM_READONLY : 0) | (logs ? KVM_MEM_LOG_DIRTY_PAGES : 0);
    const where = moves ? gpa + elsewhere : gpa;
    script.add('memslot', { vm, slot, flags, gpa: where, size: deletes ? 0 : bytes, offset });
  }
}
