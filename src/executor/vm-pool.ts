/** VMs that are kept by their platform, for one program after another. */
import { Vm, type VmParts } from '../machine/vm/vm.ts';
import { platformKey } from '../machine/vm/platform.ts';
import type { Program } from '../program/program.ts';
import type { Draft } from './draft.ts';

/** VMs that are kept; a batch uses few platforms. */
const poolMax = 24;
/** vCPUs that those have together, besides the largest: it is the one that takes longest to make. */
const pooledVcpusMax = 256;

export class VmPool {
  readonly #parts: VmParts;
  /** By platform, the one that was used last at the end. */
  readonly #vms = new Map<string, Vm>();
  /** Those that ran something since memory was last compared. */
  readonly #used = new Set<Vm>();

  constructor(parts: VmParts) {
    this.#parts = parts;
  }

  /** The VM for a program. One that is new is still to be made. */
  take(draft: Draft, program: Program): { vm: Vm; isNew: boolean } {
    const key = platformKey(program);
    const known = this.#vms.get(key);
    this.#vms.delete(key);
    if (known === undefined) this.#makeRoom(draft, program.vcpus.length);
    const vm = known ?? new Vm(this.#parts, program);
    this.#vms.set(key, vm);
    this.#used.add(vm);
    return { vm, isNew: known === undefined };
  }

  /** Compares the memory of all that ran something. */
  compareMemory(draft: Draft): void {
    for (const vm of this.#used) compareMemoryOf(draft, vm);
    this.#used.clear();
  }

  /** The hand has none of them any more. */
  clear(): void {
    this.#vms.clear();
    this.#used.clear();
  }

  /** Drops those VMs that were used longest ago until there is room for one more. */
  #makeRoom(draft: Draft, vcpuCount: number): void {
    for (const [key, vm] of this.#vms) {
      if (this.#vms.size < poolMax && this.#vcpusWith(vcpuCount) <= pooledVcpusMax) return;
      if (this.#used.delete(vm)) compareMemoryOf(draft, vm);
      dropVm(draft, vm, true);
      this.#vms.delete(key);
    }
  }

  /** vCPUs of the pool and of one VM more, without those of the largest. */
  #vcpusWith(vcpuCount: number): number {
    const counts = [vcpuCount, ...[...this.#vms.values()].map((vm) => vm.vcpuCount)];
    return counts.reduce((total, count) => total + count, 0) - Math.max(...counts);
  }
}

/** @param later whether what comes next need not wait for it. */
export function dropVm(draft: Draft, vm: Vm, later: boolean): void {
  draft.add(null, () => {
    vm.drop(draft.script, later);
    return () => undefined;
  });
}

function compareMemoryOf(draft: Draft, vm: Vm): void {
  draft.add(null, () => {
    const read = vm.memory.takeChanges(draft.script);
    return (record) => draft.addStray(read(record));
  });
}
