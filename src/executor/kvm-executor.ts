/**
 * Runs programs on the KVM of the kernel that this process runs on. VMs are kept by number of vCPUs and set up anew
 * for each program; an exact run gets a VM of its own.
 */
import { arch, release } from 'node:os';
import { arenaStart, ramEnd } from '../case/memory.ts';
import type { MemoryChange, Observation } from '../program/observation.ts';
import type { Program } from '../program/program.ts';
import { decodeBatch, encodeObservations } from '../case/wire.ts';
import { MSR_IA32_APICBASE } from '../abi/lapic.ts';
import { assembleGuest, type GuestCode } from '../guest/program.ts';
import { Kvm, type Vm } from '../kvm/kvm.ts';
import { KvmError } from '../kvm/libc.ts';
import { currentParameters } from '../kvm/module-parameters.ts';
import { KVM_CAP } from '../kvm/uapi.ts';
import type { Executor, RunOptions } from './executor.ts';
import type { TargetFacts } from './facts.ts';
import { SkippedError } from '../errors.ts';
import { ConcurrentRunner } from './concurrent-runner.ts';
import { GuestMachine } from './guest-machine.ts';
import { canInterceptXen, HypervCpuid, platformKey, xenMsr } from './platform.ts';
import { ProgramRunner } from './program-runner.ts';

/** Halted vCPUs each occupy a thread of libuv's pool for as long as they halt. */
const poolThreads = '16';

/** VMs that are kept; a batch uses few platforms. */
const poolMax = 24;
/** vCPUs that those have together, unless one VM alone has more. */
const pooledVcpusMax = 256;

/** Capabilities without which there is nothing to test (Documentation/virt/kvm/api.rst). */
const neededCapabilities = ['HYPERV', 'HYPERV_VP_INDEX', 'HYPERV_SEND_IPI', 'HYPERV_CPUID'] as const;

/**
 * Opens /dev/kvm.
 *
 * @param parameters those that KVM's modules were loaded with.
 * @throws SkippedError when it is absent, may not be opened, or has no Hyper-V; the message says which.
 */
export function openKvmExecutor(target: 'lab' | 'host', parameters = ''): KvmExecutor {
  process.env['UV_THREADPOOL_SIZE'] ??= poolThreads;
  return new KvmExecutor(target, openKvm(), parameters);
}

/** /dev/kvm with everything that a test needs; throws as `openKvmExecutor` does. */
export function openKvm(): Kvm {
  if (arch() !== 'x64') throw new SkippedError(`the Hyper-V hypercalls of KVM need x86-64, this is ${arch()}`);
  let kvm: Kvm;
  try {
    kvm = new Kvm();
  } catch (error) {
    if (error instanceof KvmError) throw new SkippedError(`KVM cannot be used: ${error.message}`);
    throw error;
  }
  for (const name of neededCapabilities) {
    if (kvm.check(KVM_CAP[name]) > 0) continue;
    kvm[Symbol.dispose]();
    throw new SkippedError(
      `/dev/kvm has no Hyper-V: KVM_CAP_${name} (${KVM_CAP[name]}) is 0 on ${release()}; it needs a KVM with CONFIG_KVM_HYPERV`,
    );
  }
  return kvm;
}

export class KvmExecutor implements Executor {
  readonly facts: TargetFacts;
  readonly #kvm: Kvm;
  readonly #cpuid: HypervCpuid;
  readonly #code: GuestCode;
  readonly #spare: Vm;
  /** By platform, the one that was used last at the end. */
  readonly #pool = new Map<string, GuestMachine>();
  /** Machines that ran something since memory was last compared. */
  readonly #used = new Set<GuestMachine>();
  /** Changes of memory that no program is known to have made. */
  #strayMemory: MemoryChange[] = [];

  constructor(target: 'lab' | 'host', kvm: Kvm, parameters: string) {
    this.#kvm = kvm;
    this.#cpuid = new HypervCpuid(kvm);
    const cpu = cpuVendor(this.#cpuid.entries);
    this.facts = {
      target,
      kernelRelease: release(),
      cpu,
      kvmMaxVcpus: kvm.check(KVM_CAP.MAX_VCPUS),
      irqchips: ['kernel', ...(kvm.check(KVM_CAP.SPLIT_IRQCHIP) > 0 ? ['split'] : []), 'none'],
      xen: canInterceptXen(kvm),
      kvmOptions: currentParameters(parameters),
    };
    this.#code = assembleGuest(cpu === 'AuthenticAMD' || cpu === 'HygonGenuine' ? 'vmmcall' : 'vmcall');
    this.#spare = openSpareVm(kvm);
  }

  async run(programs: readonly Program[], options: RunOptions): Promise<Observation[]> {
    const observations: Observation[] = [];
    for (const program of programs) {
      const observation = await this.#runOne(program, options.exact);
      observations.push(observation);
      if (observation.stopped !== null) break;
    }
    return options.exact ? observations : this.#withMemory(observations);
  }

  /** `run` on a batch in its wire form; what the agent calls. */
  async runBatch(batch: Buffer): Promise<Buffer> {
    const { programs, exact } = decodeBatch(batch);
    return encodeObservations(await this.run(programs, { exact }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const machine of this.#pool.values()) machine[Symbol.dispose]();
    this.#pool.clear();
    this.#spare[Symbol.dispose]();
    this.#kvm[Symbol.dispose]();
  }

  async #runOne(program: Program, exact: boolean): Promise<Observation> {
    if (exact) {
      using machine = new GuestMachine(this.#kvm, this.#code, this.#cpuid, program);
      const observation = await runOn(machine, program, true);
      return { ...observation, memory: machine.memory.takeChanges() };
    }
    const key = platformKey(program);
    const machine = this.#machineFor(key, program);
    const pages = hypercallPages(program);
    this.#strayMemory.push(...machine.memory.takeChangesOf(pages));
    const observation = await runOn(machine, program, false);
    if (machine.isUsable) return { ...observation, memory: machine.memory.takeChangesOf(pages) };
    this.#used.delete(machine);
    this.#pool.delete(key);
    const memory = machine.memory.takeChanges();
    machine[Symbol.dispose]();
    return { ...observation, memory };
  }

  /** The pooled machine of a platform, which becomes the last that will have to go. */
  #machineFor(key: string, program: Program): GuestMachine {
    let machine = this.#pool.get(key);
    this.#pool.delete(key);
    if (machine === undefined) {
      for (const [oldest, unused] of this.#pool) {
        if (this.#pool.size < poolMax && this.#pooledVcpus + program.vcpus.length <= pooledVcpusMax) break;
        if (this.#used.delete(unused)) this.#strayMemory.push(...unused.memory.takeChanges());
        unused[Symbol.dispose]();
        this.#pool.delete(oldest);
      }
      machine = new GuestMachine(this.#kvm, this.#code, this.#cpuid, program);
    }
    this.#pool.set(key, machine);
    this.#used.add(machine);
    return machine;
  }

  get #pooledVcpus(): number {
    let total = 0;
    for (const { vcpuCount } of this.#pool.values()) total += vcpuCount;
    return total;
  }

  /** A change of memory that shows only behind a batch cannot be assigned to a program: it shows at each of them. */
  #withMemory(observations: Observation[]): Observation[] {
    const memory = this.#strayMemory.concat(...[...this.#used].map((machine) => machine.memory.takeChanges()));
    this.#used.clear();
    this.#strayMemory = [];
    if (memory.length === 0) return observations;
    return observations.map((observation) => ({ ...observation, memory: [...observation.memory, ...memory] }));
  }
}

function runOn(machine: GuestMachine, program: Program, isExact: boolean): Promise<Observation> {
  const { schedule } = program.machine;
  if (schedule !== null) return new ConcurrentRunner(machine, program, schedule).run();
  return new ProgramRunner(machine, program, isExact).run();
}

/** Pages of RAM that KVM may be asked to write: hypercall pages, ascending. Nothing else is for KVM to write. */
function hypercallPages({ steps }: Program): bigint[] {
  const pages = new Set<bigint>();
  for (const step of steps) {
    if (step.kind !== 'write-msr' || step.msr !== 'hypercall' || step.value >= ramEnd) continue;
    const page = step.value - (step.value % 0x1000n);
    if (page >= arenaStart) pages.add(page);
  }
  return [...pages].sort((left, right) => (left < right ? -1 : 1));
}

/**
 * A VM that is held open for as long as we live. With the first and last VM the kernel patches code (static keys of
 * preempt notifiers), and with the first and last vCPU whose APIC is software- or hardware-disabled too; holding one
 * of each keeps that out of the runs (semantics.md 1.10, trap 2; apic_sw_disabled, apic_hw_disabled in lapic.c), and so
 * it is with Xen (kvm_xen_enabled in xen.c).
 */
function openSpareVm(kvm: Kvm): Vm {
  const vm = kvm.createVm();
  vm.createIrqchip();
  if (canInterceptXen(kvm)) vm.interceptXenHypercalls(xenMsr);
  // A fresh vCPU's APIC is software-disabled. The handles stay open until the process ends.
  vm.createVcpu(0);
  vm.createVcpu(1).setMsr(MSR_IA32_APICBASE, 0n);
  // One without a LAPIC in the kernel (kvm_has_noapic_vcpu); its handles stay open as well.
  kvm.createVm().createVcpu(0);
  return vm;
}

function cpuVendor(cpuid: readonly Buffer[]): string {
  const leaf = cpuid.find((entry) => entry.readUInt32LE(0) === 0);
  if (leaf === undefined) return 'unknown';
  // kvm_cpuid_entry2: eax 12, ebx 16, ecx 20, edx 24; the string is EBX, EDX, ECX.
  return Buffer.concat([leaf.subarray(16, 20), leaf.subarray(24, 28), leaf.subarray(20, 24)]).toString('latin1');
}
