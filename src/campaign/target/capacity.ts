/** Saved cases whose machine a KVM cannot have. What is drawn fits into every KVM. */
import type { Case } from '../../case/case.ts';
import { vcpuIdOf } from '../../case/vcpus/vcpu-id.ts';
import type { TargetFacts } from '../../executor/facts.ts';
import type { Batch } from '../stream/batches.ts';

type Facts = Pick<TargetFacts, 'kvmMaxVcpus' | 'vcpuIdLimit'>;

/** Why a KVM cannot have the machine of a case, or null. */
export function beyondCapacity(
  { machine: { vcpus } }: Case,
  { kvmMaxVcpus, vcpuIdLimit = Infinity }: Facts,
): string | null {
  if (vcpus.length > kvmMaxVcpus) return `${vcpus.length} vCPUs, and KVM_CAP_MAX_VCPUS is ${kvmMaxVcpus} here`;
  const id = vcpus.map(vcpuIdOf).find((one) => one >= vcpuIdLimit);
  return id === undefined ? null : `a vCPU has the id ${id}, and KVM_CAP_MAX_VCPU_ID is ${vcpuIdLimit} here`;
}

/** A batch without the cases that the KVM cannot have; itself for most. */
export function withinCapacity(batch: Batch, facts: Facts): Batch {
  const places = batch.cases
    .map((_, place) => place)
    .filter((place) => beyondCapacity(batch.cases[place]!, facts) === null);
  if (places.length === batch.cases.length) return batch;
  return {
    ...batch,
    cases: places.map((place) => batch.cases[place]!),
    placeOf: (index) => batch.placeOf(places[index]!),
  };
}
