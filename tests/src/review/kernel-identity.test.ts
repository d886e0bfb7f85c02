import { describe, expect, it } from 'vitest';
import { type KernelIdentity, sameModules, withoutBuildId } from '../../../src/review/kernel-identity.ts';

function moduleWith(buildId: number, code: number): Buffer {
  const head = Buffer.from('040000001400000003000000474e5500', 'hex');
  return Buffer.concat([Buffer.alloc(8, 0x7f), head, Buffer.alloc(20, buildId), Buffer.alloc(8, code)]);
}

function identityOf(module: string, code: string): KernelIdentity {
  const [moduleHashes, codeHashes] = [{ 'kvm.ko': module }, { 'kvm.ko': code }];
  return { spec: '', release: '', imageHash: '', kvmModules: null, moduleHashes, codeHashes };
}

describe('withoutBuildId', () => {
  it('should leave out the 20 bytes of the build ID and nothing else', () => {
    expect(withoutBuildId(moduleWith(1, 5))).toEqual(withoutBuildId(moduleWith(2, 5)));
    expect(withoutBuildId(moduleWith(1, 5))).not.toEqual(withoutBuildId(moduleWith(1, 6)));
    expect(withoutBuildId(moduleWith(1, 5))).toEqual(moduleWith(0, 5));
  });

  it('should leave a module without one as it is', () => {
    const module = Buffer.alloc(64, 3);

    expect(withoutBuildId(module)).toEqual(module);
  });
});

describe('sameModules', () => {
  it('should tell the same bytes from the same code', () => {
    expect(sameModules(identityOf('a', 'c'), identityOf('a', 'c'))).toBe('bytes');
    expect(sameModules(identityOf('a', 'c'), identityOf('b', 'c'))).toBe('code');
    expect(sameModules(identityOf('a', 'c'), identityOf('b', 'd'))).toBeNull();
  });
});
