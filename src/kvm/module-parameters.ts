/** Parameters of KVM's modules as the running kernel has them. */
import { readFileSync } from 'node:fs';

const modules = ['kvm', 'kvm_amd', 'kvm_intel'];

/** The parameters of a text like `avic=1 npt=0`, each with the value that it has now; one that cannot be read as it is. */
export function currentParameters(text: string): string {
  return text
    .split(' ')
    .filter((word) => word !== '')
    .map((word) => {
      const name = word.split('=')[0]!;
      const value = modules.map((module) => read(`/sys/module/${module}/parameters/${name}`)).find(Boolean);
      return value === undefined ? word : `${name}=${value}`;
    })
    .join(' ');
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return undefined;
  }
}
