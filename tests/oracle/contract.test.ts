import { describe, expect, it } from 'vitest';
import { contractFor, contractPoints } from '../../oracle/contract.ts';
import { facts, oldFacts } from './programs.ts';

const ofToday = {
  asksCpuid: true,
  enforcesCpuid: true,
  refusesReservedBits: true,
  readsVariableHeader: true,
  takesFastEx: true,
  refusesWithoutLapic: true,
} as const;

describe('contractFor', () => {
  it("should describe Debian's 5.10 on AMD", () => {
    const old = { ...oldFacts, kernelRelease: '5.10.0-32-amd64', kvmMaxVcpus: 288, enforcesCpuid: false };
    expect(contractFor(old)).toEqual({
      vpIndexLimit: 288,
      bankReadMax: 64,
      asksCpuid: false,
      enforcesCpuid: false,
      refusesReservedBits: false,
      readsVariableHeader: false,
      takesFastEx: false,
      refusesWithoutLapic: false,
      hasExtendedCalls: false,
      interceptsXen: false,
      restoresPprEarly: true,
      hasLazyPpr: false,
      nativeOpcode: [0x0f, 0x01, 0xd9],
    });
  });

  it.each([
    ['asksCpuid', '5.11.22', '5.12.0'],
    ['enforcesCpuid', '5.13.19', '5.14.0'],
    ['refusesReservedBits', '5.16.20', '5.17.0'],
    ['readsVariableHeader', '5.16.20', '5.17.0'],
    ['takesFastEx', '5.17.15', '5.18.0'],
  ] as const)('should know since when %s: not %s, but %s', (name, before, since) => {
    expect(contractFor({ ...facts, kernelRelease: before })[name]).toBe(false);
    expect(contractFor({ ...facts, kernelRelease: since })[name]).toBe(true);
  });

  it('should believe KVM about enforcing CPUID, and not the release', () => {
    expect(contractFor({ ...facts, enforcesCpuid: false }).enforcesCpuid).toBe(false);
    expect(contractFor({ ...facts, kernelRelease: '5.10.0', enforcesCpuid: true }).enforcesCpuid).toBe(true);
  });

  it("should describe Debian's 6.12 on AMD", () => {
    expect(contractFor(facts)).toEqual({
      vpIndexLimit: 4096,
      bankReadMax: 64,
      ...ofToday,
      hasExtendedCalls: true,
      interceptsXen: true,
      restoresPprEarly: true,
      hasLazyPpr: false,
      nativeOpcode: [0x0f, 0x01, 0xd9],
    });
  });

  it("should describe Debian's 6.1 on Intel", () => {
    expect(contractFor({ ...oldFacts, cpu: 'GenuineIntel' })).toEqual({
      vpIndexLimit: 1024,
      bankReadMax: 16,
      ...ofToday,
      hasExtendedCalls: false,
      interceptsXen: false,
      restoresPprEarly: true,
      hasLazyPpr: true,
      nativeOpcode: [0x0f, 0x01, 0xc1],
    });
  });

  it.each([
    [1, 1],
    [64, 1],
    [65, 2],
    [1000, 16],
    [1024, 16],
    [4096, 64],
    [8192, 64],
  ])('should cap the banks of a KVM of %i vCPUs at %i', (kvmMaxVcpus, bankReadMax) => {
    expect(contractFor({ ...facts, kvmMaxVcpus })).toMatchObject({ vpIndexLimit: kvmMaxVcpus, bankReadMax });
  });

  it.each([
    ['4.20.0', false],
    ['5.19.17', false],
    ['6.1.0-51-amd64', false],
    ['6.2.16', false],
    ['6.3.0', true],
    ['6.12.117+deb12-amd64', true],
    ['7.0.0-rc1', true],
    ['10.1.0', true],
    ['model', true],
    ['v6.1', true],
  ])('should know whether %s has extended hypercalls: %s', (kernelRelease, hasExtendedCalls) => {
    expect(contractFor({ ...facts, kernelRelease }).hasExtendedCalls).toBe(hasExtendedCalls);
  });

  it.each([
    ['6.1.0-57-amd64', 0x0010_0030, true],
    ['7.3.4+deb13-amd64', 0x0000_0030, false],
  ])('should believe the KVM of %s about extended hypercalls and not the release', (kernelRelease, privileges, has) => {
    expect(contractFor({ ...facts, kernelRelease, hypervPrivileges: privileges }).hasExtendedCalls).toBe(has);
  });

  it.each([true, false])('should intercept Xen hypercalls where KVM can: %s', (xen) => {
    expect(contractFor({ ...facts, xen }).interceptsXen).toBe(xen);
  });

  it.each([
    ['GenuineIntel', 0xc1],
    ['AuthenticAMD', 0xd9],
    ['HygonGenuine', 0xd9],
  ])("should know %s's instruction", (cpu, last) => {
    expect(contractFor({ ...facts, cpu }).nativeOpcode).toEqual([0x0f, 0x01, last]);
  });
});

describe('contractPoints', () => {
  it.each(Object.entries(contractPoints))(
    'should name %s as in the contract, with a source',
    (key, { name, source }) => {
      expect(name).toBe(key);
      expect(source).toMatch(/(kvm|vmx)_/);
    },
  );
});
