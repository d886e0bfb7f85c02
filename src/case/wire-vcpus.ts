/** The vCPUs of a program as bytes. */
import type { Reader, Writer } from './bytes.ts';
import type { VcpuSetup } from './vcpu.ts';
import { likeVcpusFrom, repeatVcpu } from './like-vcpus.ts';
import { apicStates, cpuidFeatures, eoiKinds, idleKinds } from './limits.ts';

/** No vCPU has this id. */
const noVcpuId = 0xffff;

/** vCPUs that are alike but for VP indexes that ascend are one entry: large machines have few others. */
export function encodeVcpus(out: Writer, vcpus: readonly VcpuSetup[]): void {
  out.u16(vcpus.length);
  for (let start = 0; start < vcpus.length;) {
    const count = likeVcpusFrom(vcpus, start);
    out.u16(count);
    encodeVcpu(out, vcpus[start]!);
    start += count;
  }
}

export function decodeVcpus(input: Reader): VcpuSetup[] {
  const count = input.u16();
  const vcpus: VcpuSetup[] = [];
  while (vcpus.length < count) {
    const like = input.u16();
    const vcpu = decodeVcpu(input);
    if (like === 1) vcpus.push(vcpu);
    else vcpus.push(...repeatVcpu(vcpu, like));
  }
  return vcpus;
}

function encodeVcpu(out: Writer, vcpu: VcpuSetup): void {
  out.u32(vcpu.vpIndex);
  out.u8(apicStates.indexOf(vcpu.apic));
  out.u8(eoiKinds.indexOf(vcpu.eoi));
  out.u8(idleKinds.indexOf(vcpu.idle));
  out.u16(vcpu.vcpuId ?? noVcpuId);
  out.u8(cpuidFeatures.reduce((bits, name, bit) => bits | (vcpu.lacks.includes(name) ? 1 << bit : 0), 0));
  out.u8(Number(vcpu.enforced));
  out.u8(vcpu.tpr);
  out.u8(Number(vcpu.logsPpr));
  for (const vectors of [vcpu.irr, vcpu.isr, vcpu.autoEoi]) {
    out.u8(vectors.length);
    for (const vector of vectors) out.u8(vector);
  }
}

function decodeVcpu(input: Reader): VcpuSetup {
  return {
    vpIndex: input.u32(),
    apic: apicStates[input.u8()]!,
    eoi: eoiKinds[input.u8()]!,
    idle: idleKinds[input.u8()]!,
    vcpuId: decodeVcpuId(input.u16()),
    lacks: decodeFeatures(input.u8()),
    enforced: input.u8() === 1,
    tpr: input.u8(),
    logsPpr: input.u8() === 1,
    irr: decodeVectors(input),
    isr: decodeVectors(input),
    autoEoi: decodeVectors(input),
  };
}

function decodeVcpuId(vcpuId: number): number | null {
  return vcpuId === noVcpuId ? null : vcpuId;
}

/** The features that each byte stands for: lists are shared. */
const featureLists = Array.from({ length: 1 << cpuidFeatures.length }, (_, bits) =>
  cpuidFeatures.filter((__, bit) => (bits >> bit) & 1),
);

function decodeFeatures(bits: number): VcpuSetup['lacks'] {
  return featureLists[bits]!;
}

function decodeVectors(input: Reader): number[] {
  const count = input.u8();
  return count === 0 ? [] : [...input.bytes(count)];
}
