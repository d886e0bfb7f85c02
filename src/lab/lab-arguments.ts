/** A lab as arguments of the command line. */
import { cpuArguments } from './lab-cpu.ts';

interface NamedLab {
  readonly cpu?: string | undefined;
  readonly bochs?: string | null | undefined;
  readonly kernel: string;
  readonly kvmModules?: string | null | undefined;
  readonly kvmOptions?: string | null | undefined;
}

/** Arguments that lead to a lab like this one. */
export function labArguments({ cpu = 'amd', bochs, kernel, kvmModules, kvmOptions }: NamedLab): string[] {
  const words = { '--bochs': bochs, '--kernel': kernel, '--kvm-modules': kvmModules, '--kvm-options': kvmOptions };
  const given = Object.entries(words).flatMap(([name, value]) => (value ? [name, value] : []));
  return [...cpuArguments(cpu), ...given];
}
