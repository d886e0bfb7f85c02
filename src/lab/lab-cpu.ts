/** The vendor of the lab's CPU: AMD with SVM, or Intel with VMX. */
import { UsageError } from '../errors.ts';

const labCpus = ['amd', 'intel'] as const;
export type LabCpu = (typeof labCpus)[number];

/** KVM's module for the other vendor's CPU, which is of no use. */
export const otherModule: Readonly<Record<LabCpu, string>> = { amd: 'kvm_intel', intel: 'kvm_amd' };

/** What a command says of it; nothing for the default. */
export function cpuArguments(cpu: string): string[] {
  return cpu === 'amd' ? [] : ['--cpu', cpu];
}

/** @throws UsageError */
export function parseLabCpu(text: string, option = '--cpu'): LabCpu {
  const cpu = labCpus.find((each) => each === text);
  if (cpu === undefined) throw new UsageError(`${option} ${text}: there are ${labCpus.join(' and ')}`);
  return cpu;
}
