/** What the model must know of kernels that do not run: release, KVM_MAX_VCPUS, CONFIG_KVM_XEN (docs/semantics.md 2.3). */
import type { TargetFacts } from '../../executor/facts.ts';
import { UsageError } from '../../errors.ts';

const kernels: Readonly<Record<string, Pick<TargetFacts, 'kernelRelease' | 'kvmMaxVcpus' | 'xen'>>> = {
  'debian:7.3': { kernelRelease: '7.3', kvmMaxVcpus: 4096, xen: true },
  'debian:7.2': { kernelRelease: '7.2', kvmMaxVcpus: 4096, xen: true },
  'debian:6.12': { kernelRelease: '6.12', kvmMaxVcpus: 4096, xen: true },
  'debian:6.1': { kernelRelease: '6.1', kvmMaxVcpus: 1024, xen: false },
  'debian:5.10': { kernelRelease: '5.10', kvmMaxVcpus: 288, xen: false },
};

export const assumedKernels = Object.keys(kernels);
/** Of which kernel is spoken when none is named. */
export const defaultAssumed = 'debian:6.12';

/** @throws UsageError for a kernel of which nothing is known without running it. */
export function assumedFacts(spec: string): TargetFacts {
  const kernel = kernels[spec];
  if (kernel === undefined) {
    throw new UsageError(`--kernel ${spec}: known without running it are ${assumedKernels.join(', ')}`);
  }
  return { target: 'model', cpu: 'model', irqchips: ['kernel'], kvmOptions: '', emulator: null, ...kernel };
}
