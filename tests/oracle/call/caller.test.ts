import { describe, expect, it } from 'vitest';
import { arenaStart, ramEnd } from '../../../src/case/memory.ts';
import { type Environment, plainEnvironment } from '../../../src/case/steps/environment.ts';
import { type Program, registerOffset } from '../../../src/program/program.ts';
import {
  atInstruction,
  type CallAtInstruction,
  callerOf,
  isHyperv,
  pageCode,
  plainCaller,
} from '../../../oracle/call/caller.ts';
import { contractFor } from '../../../oracle/contract.ts';
import { ModelMemory } from '../../../oracle/state/memory.ts';
import { enteredCall, facts, literalCall, oldFacts, programOf } from '../programs.ts';

const amd = contractFor(facts);
const intel = contractFor({ ...facts, cpu: 'GenuineIntel' });
const vmmcall = '0f01d9';
const vmcall = '0f01c1';
const orEax = '0d00000080';
const ret = 'c3';

describe('callerOf', () => {
  const program = programOf([0, 1], []);
  const withVcpu1 = (change: Partial<Program['vcpus'][number]>): Program => ({
    ...program,
    vcpus: [program.vcpus[0]!, { ...program.vcpus[1]!, ...change }],
  });
  const onMachine = (machine: Partial<Program['machine']>): Program => programOf([0, 1], [], machine);
  const callerIn = (from: Program, environment: Partial<Environment> = {}, guestOsId = 1n, contract = amd) =>
    callerOf(from, 1, { ...plainEnvironment, ...environment }, guestOsId, contract);

  it('should be the plain one in the plain environment', () => {
    expect(callerIn(program)).toEqual(plainCaller);
  });

  it.each([
    ['long', true, true],
    ['compat', false, true],
    ['protected32', false, true],
    ['unpaged32', false, true],
    ['protected16', false, true],
    ['real', false, false],
  ] as const)('should know of %s mode whether it is 64-bit (%s) and protected (%s)', (mode, is64Bit, isProtected) => {
    expect(callerIn(program, { mode })).toEqual({ ...plainCaller, is64Bit, isProtected });
  });

  it('should take CPL, page and opcode from the environment', () => {
    expect(callerIn(program, { cpl: 2, page: arenaStart, opcode: 'other' })).toEqual({
      ...plainCaller,
      cpl: 2,
      page: arenaStart,
      isOtherOpcode: true,
    });
  });

  it("should take CPUID from the sender's vCPU", () => {
    expect(callerIn(withVcpu1({ lacks: ['hyperv'] }))).toEqual({
      ...plainCaller,
      hasHypervCpuid: false,
      lacks: ['hyperv'],
    });
    expect(callerIn(withVcpu1({ lacks: ['ex-masks', 'xmm-input'], enforced: true }))).toEqual({
      ...plainCaller,
      isEnforced: true,
      lacks: ['ex-masks', 'xmm-input'],
    });
    const other = withVcpu1({ lacks: ['hyperv'], enforced: true });
    expect(callerOf(other, 0, plainEnvironment, 1n, amd)).toEqual(plainCaller);
  });

  it('should take GUEST_OS_ID as it is at the time of the call', () => {
    expect(callerIn(program, {}, 0n)).toEqual({ ...plainCaller, hasGuestOsId: false });
    expect(callerIn(onMachine({ guestOsId: 0n }), {}, 1n << 63n)).toEqual(plainCaller);
  });

  it.each([
    ['kernel', true],
    ['split', true],
    ['none', false],
  ] as const)('should know whether irqchip %s has LAPICs in the kernel: %s', (irqchip, hasLapic) => {
    expect(callerIn(onMachine({ irqchip }))).toEqual({ ...plainCaller, hasLapic });
  });

  it('should need a KVM that asks for CPUID, and one that enforces it', () => {
    const on510 = contractFor({ ...oldFacts, kernelRelease: '5.10.0', enforcesCpuid: false });
    const lacking = withVcpu1({ lacks: ['hyperv'], enforced: true });
    expect(callerOf(lacking, 1, plainEnvironment, 1n, on510)).toEqual({ ...plainCaller, lacks: ['hyperv'] });
  });

  it('should need a KVM that can intercept Xen hypercalls', () => {
    expect(callerIn(onMachine({ xen: true })).isXen).toBe(true);
    expect(callerIn(onMachine({ xen: true }), {}, 1n, contractFor(oldFacts)).isXen).toBe(false);
  });
});

describe('isHyperv', () => {
  it.each([
    [true, true, true],
    [true, false, false],
    [false, true, false],
    [false, false, false],
  ])('should need CPUID (%s) and GUEST_OS_ID (%s): %s', (hasHypervCpuid, hasGuestOsId, expected) => {
    expect(isHyperv({ ...plainCaller, hasHypervCpuid, hasGuestOsId })).toBe(expected);
  });
});

describe('pageCode', () => {
  it.each([
    ['AMD', amd, false, `${vmmcall}${ret}`],
    ['AMD with Xen', amd, true, `${orEax}${vmmcall}${ret}`],
    ['Intel', intel, false, `${vmcall}${ret}`],
    ['Intel with Xen', intel, true, `${orEax}${vmcall}${ret}`],
  ])('should be what KVM writes on %s', (_, contract, isXen, code) => {
    expect(pageCode(contract, isXen).toString('hex')).toBe(code);
  });
});

/** Every register of a caller that is not in 64-bit mode has something in its upper half. */
const dirty = {
  rax: 0xdead_beef_0001_000bn,
  rdx: 0xdead_beef_0000_0007n,
  rbx: 0xdead_beef_0000_0011n,
  rcx: 0xdead_beef_8000_00fen,
  rdi: 0xdead_beef_0000_0002n,
  rsi: 0xdead_beef_c000_0001n,
  r8: 0xdead_beef_dead_beefn,
  xmm: [1n, 2n, 3n],
};

describe('atInstruction', () => {
  it('should leave a plain call as it is', () => {
    const step = literalCall({ rcx: 0x0bn, rax: 5n });
    const made = atInstruction(step, new ModelMemory(), amd)!;
    expect(made.registers).toBe(step.registers);
    expect(made.orResult).toBeNull();
  });

  it('should leave all registers of a 64-bit caller', () => {
    const made = atInstruction(enteredCall({ cpl: 3 }, dirty), new ModelMemory(), amd)!;
    expect(made.orResult).toBeNull();
    expect(made.registers.length).toBe(128);
    expect(wordsOf(made)).toEqual({ rcx: dirty.rcx, rdx: dirty.rdx, r8: dirty.r8, rax: dirty.rax });
    expect(xmmOf(made)).toEqual([1n, 2n, 3n]);
  });

  it.each(['compat', 'protected32', 'unpaged32', 'protected16', 'real'] as const)(
    'should put together the halves of a caller in %s mode and drop what stands above them',
    (mode) => {
      const step = enteredCall({ mode }, dirty);
      const before = Buffer.from(step.registers);
      const made = atInstruction(step, new ModelMemory(), amd)!;
      expect(wordsOf(made)).toEqual({
        rcx: 0x0000_0007_0001_000bn,
        rdx: 0x0000_0011_8000_00fen,
        r8: 0x0000_0002_c000_0001n,
        rax: 0x0001_000bn,
      });
      expect(xmmOf(made)).toEqual([1n, 2n, 3n]);
      expect(made.registers.length).toBe(128);
      expect(step.registers).toEqual(before);
    },
  );

  it.each([
    ['AMD', amd, vmmcall],
    ['Intel', intel, vmcall],
  ])('should go through a page of %s and change nothing', (_, contract, code) => {
    const made = atInstruction(through(arenaStart), memoryWith(`${code}${ret}`), contract)!;
    expect(made.orResult).toBeNull();
    expect(wordsOf(made)).toMatchObject({ rax: dirty.rax, rcx: dirty.rcx });
  });

  it('should set bit 31 of EAX, and clear what stands above, on the way through a page with the prefix', () => {
    const memory = memoryWith(`${orEax}${vmmcall}${ret}`);
    const long = atInstruction(through(arenaStart), memory, amd)!;
    expect(long.orResult).toBe(0x8001_000bn);
    expect(wordsOf(long)).toEqual({ rcx: dirty.rcx, rdx: dirty.rdx, r8: dirty.r8, rax: 0x8001_000bn });

    const compat = atInstruction(through(arenaStart, 'compat'), memory, amd)!;
    expect(compat.orResult).toBe(0x8001_000bn);
    expect(wordsOf(compat)).toMatchObject({ rax: 0x8001_000bn, rcx: 0x0000_0007_8001_000bn });
  });

  it.each([
    ['is empty', ''],
    ['has no RET', vmmcall],
    ['has the other vendor’s instruction', `${vmcall}${ret}`],
    ['has the prefix and no instruction', `${orEax}${ret}`],
    ['has the instruction behind something else', `90${vmmcall}${ret}`],
    ['has another prefix', `0d00000040${vmmcall}${ret}`],
  ])('should not arrive through a page that %s', (_, code) => {
    expect(atInstruction(through(arenaStart), memoryWith(code), amd)).toBeNull();
  });

  it('should look at the page that the call goes through', () => {
    const memory = memoryWith(`${vmmcall}${ret}`);
    expect(atInstruction(through(arenaStart + 0x1000n), memory, amd)).toBeNull();
    expect(atInstruction(through(ramEnd), memory, amd)).toBeNull();
    expect(atInstruction(enteredCall({ page: null }, dirty), new ModelMemory(), amd)).not.toBeNull();
  });
});

function through(page: bigint, mode: Environment['mode'] = 'long') {
  return enteredCall({ page, mode }, dirty);
}

function memoryWith(code: string): ModelMemory {
  const memory = new ModelMemory();
  memory.write({ gpa: arenaStart, bytes: Buffer.from(code, 'hex') });
  return memory;
}

function wordsOf({ registers }: CallAtInstruction) {
  const word = (name: 'rcx' | 'rdx' | 'r8' | 'rax') => registers.readBigUInt64LE(registerOffset[name]);
  return { rcx: word('rcx'), rdx: word('rdx'), r8: word('r8'), rax: word('rax') };
}

function xmmOf({ registers }: CallAtInstruction): bigint[] {
  return [0, 8, 16].map((offset) => registers.readBigUInt64LE(registerOffset.xmm + offset));
}
