/**
 * Parameters of KVM's modules (`halt_poll_ns=0 npt=0`): which module takes which, as the modules themselves say in their
 * .modinfo sections.
 */
import { UsageError } from '../../errors.ts';
import type { Module } from './modules.ts';

/** An option as it stands on the command line. */
interface KvmOption {
  readonly name: string;
  readonly text: string;
}

const optionPattern = /^([a-z]\w*)=([\w.,:-]+)$/;

/**
 * The options of a text, in its order.
 *
 * @throws UsageError for one that is no `name=value`.
 */
export function parseKvmOptions(text: string): KvmOption[] {
  return text
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => {
      const name = optionPattern.exec(word)?.[1];
      if (name === undefined) throw new UsageError(`--kvm-options: "${word}" is no name=value, like halt_poll_ns=0`);
      return { name, text: word };
    });
}

/**
 * For each module, by its file, the parameters to load it with. A parameter that both kvm_amd and kvm_intel have goes to
 * both; the lab loads the one of its CPU.
 *
 * @throws UsageError when no module has a parameter of that name.
 */
export function parametersOf(options: readonly KvmOption[], modules: readonly Module[]): ReadonlyMap<string, string> {
  const result = new Map<string, string>();
  if (options.length === 0) return result;
  const known = modules
    .filter(({ name }) => name.startsWith('kvm'))
    .map(({ file, bytes }) => ({ file, names: parameterNames(bytes) }));
  for (const { name, text } of options) {
    const takers = known.filter(({ names }) => names.includes(name));
    if (takers.length === 0) {
      const all = [...new Set(known.flatMap(({ names }) => names))].sort();
      throw new UsageError(`--kvm-options ${text}: no KVM module of this kernel has it; they have ${all.join(', ')}`);
    }
    for (const { file } of takers) result.set(file, [...(result.get(file)?.split(' ') ?? []), text].join(' '));
  }
  return result;
}

/** Names of a module's parameters (`parmtype=NAME:TYPE` in .modinfo, MODULE_PARM in the kernel's moduleparam.h). */
export function parameterNames(bytes: Buffer): string[] {
  return [...bytes.toString('latin1').matchAll(/\0parmtype=(\w+):/g)].map((match) => match[1]!);
}
