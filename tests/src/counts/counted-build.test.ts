import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { objectsOf } from '../../../src/counts/counted-build.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

let tree: string;
beforeEach(async () => {
  tree = temporaryFolder();
  await save('arch/x86/kvm/hyperv.c');
  await save('arch/x86/kvm/.hyperv.o.cmd', 'deps := arch/x86/kvm/hyperv.h include/linux/kvm_host.h');
  await save('arch/x86/kvm/svm/avic.c');
  await save('arch/x86/kvm/svm/.avic.o.cmd', 'deps := arch/x86/kvm/svm/svm.h include/linux/kvm_host.h');
  await save('virt/kvm/kvm_main.c');
  await save('virt/kvm/.kvm_main.o.cmd', 'deps := include/linux/kvm_host.h');
  // A link of objects, and a source that this configuration does not build.
  await save('arch/x86/kvm/.kvm.o.cmd', 'deps := include/linux/kvm_host.h');
  await save('arch/x86/kvm/xen.c');
});

async function save(path: string, text = ''): Promise<void> {
  await mkdir(dirname(join(tree, path)), { recursive: true });
  await writeFile(join(tree, path), text);
}

describe('objectsOf', () => {
  it('should give the objects of sources that are built', async () => {
    expect(await objectsOf(tree, ['arch/x86/kvm/hyperv.c', 'arch/x86/kvm/xen.c'])).toEqual(['arch/x86/kvm/hyperv']);
  });

  it('should give those that include a header', async () => {
    expect(await objectsOf(tree, ['arch/x86/kvm/hyperv.h'])).toEqual(['arch/x86/kvm/hyperv']);
    expect(await objectsOf(tree, ['include/linux/kvm_host.h'])).toEqual([
      'arch/x86/kvm/hyperv',
      'arch/x86/kvm/svm/avic',
      'virt/kvm/kvm_main',
    ]);
  });

  it('should give none for what has no code', async () => {
    expect(await objectsOf(tree, ['arch/x86/kvm/Makefile'])).toEqual([]);
  });
});
