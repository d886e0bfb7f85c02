import { describe, expect, it } from 'vitest';
import { configArguments, lackingOptions, neededOptions } from '../../../src/build/small-config.ts';

const complete = Object.entries(neededOptions).map(([name, value]) => `CONFIG_${name}=${value}`);

describe('lackingOptions', () => {
  it('should name what is off, built in instead of a module, or not known', () => {
    expect(lackingOptions(complete.join('\n'))).toEqual([]);
    const other = complete.map((line) => {
      if (line === 'CONFIG_KVM_AMD=m') return 'CONFIG_KVM_AMD=y';
      return line === 'CONFIG_VIRTIO_CONSOLE=y' ? '# CONFIG_VIRTIO_CONSOLE is not set' : line;
    });
    expect(lackingOptions(other.join('\n'))).toEqual(['CONFIG_VIRTIO_CONSOLE=y', 'CONFIG_KVM_AMD=m']);
    expect(lackingOptions('')).toEqual(complete);
  });
});

describe('configArguments', () => {
  it('should ask for each option once', () => {
    const words = configArguments();
    const names = words.filter((word) => !/^-[dem]$/.test(word));
    expect(new Set(names).size).toBe(names.length);
    expect(words.length).toBe(2 * names.length);
    for (const name of Object.keys(neededOptions)) expect(names).toContain(name);
  });
});
