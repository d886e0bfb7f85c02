/** Numbers of the hand's VMs and vCPUs that are free. */
import { handLimits } from '../../hand/operations.ts';

/** A VM's number, and that of its first vCPU; the others follow. */
export interface VmNumbers {
  readonly vm: number;
  readonly firstVcpu: number;
  readonly vcpuCount: number;
}

export class ObjectNumbers {
  readonly #reserved: { readonly vms: number; readonly vcpus: number };
  readonly #freeVms: number[] = [];
  readonly #usedVcpus = new Uint8Array(handLimits.vcpus);

  /** @param reserved so many of each are somebody else's. */
  constructor(reserved: { readonly vms: number; readonly vcpus: number }) {
    this.#reserved = reserved;
    this.clear();
  }

  take(vcpuCount: number): VmNumbers {
    const vm = this.#freeVms.pop();
    if (vm === undefined) throw new Error(`a hand has ${handLimits.vms} VMs`);
    const firstVcpu = firstFree(this.#usedVcpus, vcpuCount);
    this.#usedVcpus.fill(1, firstVcpu, firstVcpu + vcpuCount);
    return { vm, firstVcpu, vcpuCount };
  }

  giveBack({ vm, firstVcpu, vcpuCount }: VmNumbers): void {
    this.#freeVms.push(vm);
    this.#usedVcpus.fill(0, firstVcpu, firstVcpu + vcpuCount);
  }

  /** All are free. */
  clear(): void {
    const { vms, vcpus } = this.#reserved;
    this.#usedVcpus.fill(1, 0, vcpus).fill(0, vcpus);
    this.#freeVms.length = 0;
    for (let vm = handLimits.vms - 1; vm >= vms; vm--) this.#freeVms.push(vm);
  }
}

/** The first place where so many numbers that follow each other are free. */
function firstFree(used: Uint8Array, count: number): number {
  for (let start = 0, length = 0; start + length < used.length;) {
    if (used[start + length] === 0) length++;
    else [start, length] = [start + length + 1, 0];
    if (length === count) return start;
  }
  throw new Error(`a hand has ${used.length} vCPUs`);
}
