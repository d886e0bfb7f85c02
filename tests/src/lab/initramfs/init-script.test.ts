import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { initScript } from '../../../../src/lab/initramfs/init-script.ts';

describe('initScript', () => {
  it.each([[[]], [['irqbypass.ko', 'kvm.ko', 'kvm-amd.ko']]])(
    'should be a shell script, with modules %j',
    (modules) => {
      const parse = (): Buffer => execFileSync('sh', ['-n'], { input: initScript(modules), stdio: 'pipe' });
      expect(parse).not.toThrow();
    },
  );

  it('should load the modules in the given order', () => {
    expect(initScript(['irqbypass.ko', 'kvm.ko'])).toContain('for module in irqbypass.ko kvm.ko; do');
  });
});
