import { describe, expect, it } from 'vitest';
import { UsageError } from '../../../src/errors.ts';
import { parseLabCpu } from '../../../src/lab/lab-cpu.ts';
import { parseTarget } from '../../../src/campaign/target/target.ts';

describe('parseLabCpu', () => {
  it('should take the two vendors, and name the option that has another', () => {
    expect([parseLabCpu('amd'), parseLabCpu('intel')]).toEqual(['amd', 'intel']);
    expect(() => parseLabCpu('arm')).toThrow(new UsageError('--cpu arm: there are amd and intel'));
    expect(() => parseLabCpu('', '--base-cpu')).toThrow('--base-cpu : there are amd and intel');
  });
});

describe('a target with a CPU', () => {
  const lab = {
    target: 'lab',
    kernel: 'debian:6.12',
    kvmModules: null,
    install: false,
    say: () => undefined,
  } as const;

  it('should be led to again by its arguments, which are what they were for AMD', () => {
    expect(parseTarget({ ...lab, cpu: 'amd' }).replayArguments).toEqual(['--kernel', 'debian:6.12']);
    expect(parseTarget({ ...lab, cpu: 'intel', bochs: '/b/bochs' }).replayArguments).toEqual([
      '--cpu',
      'intel',
      '--bochs',
      '/b/bochs',
      '--kernel',
      'debian:6.12',
    ]);
  });
});
