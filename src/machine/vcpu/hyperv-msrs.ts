/** Hyper-V's MSRs of one vCPU: what scripts have written to them, and their values when a program starts. */
import * as hyperv from '../../abi/hyperv.ts';
import type { VcpuSetup } from '../../case/case.ts';
import { area, gpaOf, vcpuArea } from '../../guest/memory-map.ts';
import type { Script } from '../../hand/script.ts';
import type { Read } from '../writer.ts';
import { addMsrs, readMsr, tryMsr, tryMsrs } from './msrs.ts';

export class HypervMsrs {
  readonly #vcpu: number;
  readonly #position: number;
  readonly #hasSynic: boolean;
  /** VP indexes are below it. */
  readonly #kvmMaxVcpus: number;
  /** Last value written to HV_X64_MSR_VP_INDEX, null when a step has changed it. */
  #vpIndexWritten: number | null;
  /** What reading it gave last. */
  #vpIndex: number;
  #hasOwnVpIndex = true;
  #hasAssistPage = false;
  /** So many SINTs, from the first on, may be other than masked. */
  #sints = 0;

  /** @param vcpu the hand's object. */
  constructor(vcpu: number, position: number, hasSynic: boolean, kvmMaxVcpus: number) {
    this.#vcpu = vcpu;
    this.#position = position;
    this.#hasSynic = hasSynic;
    this.#kvmMaxVcpus = kvmMaxVcpus;
    this.#vpIndexWritten = position;
    this.#vpIndex = position;
  }

  /** Whether no value that KVM takes was written so far: the VP index is still the one that KVM gave it. */
  get hasOwnVpIndex(): boolean {
    return this.#hasOwnVpIndex;
  }

  readVpIndex(script: Script): Read<void> {
    const read = readMsr(script, this.#vcpu, hyperv.HV_X64_MSR_VP_INDEX);
    return (record) => {
      const index = read(record);
      if (index === null) throw new Error('KVM does not give HV_X64_MSR_VP_INDEX');
      this.#vpIndex = Number(index);
    };
  }

  setVpIndex(script: Script, requested: number): Read<number> {
    if (this.#vpIndexWritten === requested) return () => this.#vpIndex;
    // KVM may refuse the value; the index is then that of a fresh vCPU, its position. That is written only where it may
    // be another one by now: what KVM itself gave is to be seen.
    const index = hyperv.HV_X64_MSR_VP_INDEX;
    const values = this.#hasOwnVpIndex ? [requested] : [this.#position, requested];
    if (requested < this.#kvmMaxVcpus) this.#hasOwnVpIndex = false;
    const entries = values.map((value) => ({ index, value: BigInt(value) }));
    const readTaken = tryMsrs(script, this.#vcpu, entries);
    this.#vpIndexWritten = requested;
    const readIndex = this.readVpIndex(script);
    return (record) => {
      readTaken(record);
      readIndex(record);
      return this.#vpIndex;
    };
  }

  setAssistPage(script: Script, { eoi, lacks }: VcpuSetup): void {
    const isWanted = eoi === 'assist' && !lacks.includes('hyperv');
    if (isWanted === this.#hasAssistPage) return;
    const page = gpaOf(vcpuArea(this.#position) + area.assist);
    const value = isWanted ? page | hyperv.HV_X64_MSR_VP_ASSIST_PAGE_ENABLE : 0n;
    addMsrs(script, this.#vcpu, [{ index: hyperv.HV_X64_MSR_VP_ASSIST_PAGE, value }]);
    this.#hasAssistPage = isWanted;
  }

  setSints(script: Script, { autoEoi }: VcpuSetup): void {
    for (let sint = 0; sint < Math.max(autoEoi.length, this.#sints); sint++) {
      const vector = autoEoi[sint];
      const value = vector === undefined ? hyperv.HV_SYNIC_SINT_MASKED : hyperv.HV_SYNIC_SINT_AUTO_EOI | BigInt(vector);
      addMsrs(script, this.#vcpu, [{ index: hyperv.HV_X64_MSR_SINT0 + sint, value }]);
    }
    this.#sints = autoEoi.length;
  }

  /** Writes HV_X64_MSR_VP_INDEX as a step of a program; whether KVM took the value. */
  writeVpIndex(script: Script, value: bigint): Read<boolean> {
    this.#vpIndexWritten = null;
    // Whether KVM takes it shows later than the next program's script is written.
    this.#hasOwnVpIndex = false;
    return tryMsr(script, this.#vcpu, hyperv.HV_X64_MSR_VP_INDEX, value);
  }

  /** Writes the MSR of a SINT as a step of a program; whether KVM took the value. */
  writeSint(script: Script, sint: number, value: bigint): Read<boolean> {
    if (this.#hasSynic) this.#sints = Math.max(this.#sints, sint + 1);
    return tryMsr(script, this.#vcpu, hyperv.HV_X64_MSR_SINT0 + sint, value);
  }
}
