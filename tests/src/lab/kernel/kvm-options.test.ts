import { describe, expect, it } from 'vitest';
import { parametersOf, parseKvmOptions } from '../../../../src/lab/kernel/kvm-options.ts';

const moduleOf = (name: string, ...parameters: string[]) => ({
  name,
  file: `${name.replace('_', '-')}.ko`,
  bytes: Buffer.from(`\0license=GPL\0${parameters.map((one) => `parmtype=${one}:bool\0parm=${one}:words\0`).join('')}`),
});
const modules = [
  moduleOf('kvm', 'halt_poll_ns', 'nx'),
  moduleOf('kvm_amd', 'npt', 'nested'),
  moduleOf('netfs', 'debug'),
];

describe('parametersOf', () => {
  it('should give each module what it knows, in the order in which it was given', () => {
    const parameters = parametersOf(parseKvmOptions('npt=0  halt_poll_ns=0 nested=1'), modules);
    expect([...parameters]).toEqual([
      ['kvm-amd.ko', 'npt=0 nested=1'],
      ['kvm.ko', 'halt_poll_ns=0'],
    ]);
  });

  it('should refuse a parameter that no KVM module has, and say which there are', () => {
    expect(() => parametersOf(parseKvmOptions('debug=1'), modules)).toThrow(
      '--kvm-options debug=1: no KVM module of this kernel has it; they have halt_poll_ns, nested, npt, nx',
    );
  });
});

describe('parseKvmOptions', () => {
  it.each(['npt', 'npt=', '=1', "npt='0'", 'npt=0;reboot', 'NPT=1'])('should refuse %j', (text) => {
    expect(() => parseKvmOptions(text)).toThrow('is no name=value, like halt_poll_ns=0');
  });
});
