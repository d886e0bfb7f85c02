/** LAPIC pages against literals of SDM volume 3, "Local APIC Registers". */
import { describe, expect, it } from 'vitest';
import { makeVcpu } from '../../../src/case/case.ts';
import { apicStates } from '../../../src/case/limits.ts';
import { apicBase, presetLapic, setUpLapicPage, spurious } from '../../../src/executor/lapic-setup.ts';
import { wordsOf } from '../../../src/executor/words.ts';
import type { Vcpu } from '../../../src/kvm/kvm.ts';

/** A vCPU whose LAPIC keeps what is set. */
function fakeVcpu(): { vcpu: Vcpu; page: Buffer; writes: Buffer[] } {
  const page = Buffer.alloc(0x400, 0x77);
  const writes: Buffer[] = [];
  const vcpu = {
    getLapic: (into: Buffer) => void page.copy(into),
    setLapic: (from: Buffer) => {
      writes.push(Buffer.from(from));
      from.copy(page);
    },
  } as unknown as Vcpu;
  return { vcpu, page, writes };
}

describe('apicBase and spurious', () => {
  it('should say whether and how the APIC is on, and who is the boot processor', () => {
    const bases = apicStates.map((apic) => apicBase(1, apic).toString(16));
    expect(bases).toEqual(['fee00c00', 'fee00800', 'fee00800', 'fee00000']);
    expect(apicBase(0, 'x2apic')).toBe(0xfee0_0d00n);
    expect(apicStates.map(spurious)).toEqual([0x1ff, 0x1ff, 0xff, 0x1ff]);
  });
});

describe('setUpLapicPage', () => {
  it.each([
    ['x2apic', 0x7777_7777],
    ['xapic', 0],
  ] as const)('should set ID, SPIV, TPR, IRR, ISR and TMR of an %s and leave the rest', (apic, logicalId) => {
    const { vcpu, page, writes } = fakeVcpu();

    const set = setUpLapicPage(vcpu, 0xfe00_0000, apic, false);

    expect(set.bytes.equals(page)).toBe(true);
    expect(writes).toHaveLength(1);
    setUpLapicPage(vcpu, 0xfe00_0000, apic, true);
    expect(writes).toHaveLength(3);
    const words = (base: number) => Array.from({ length: 8 }, (_, word) => page.readUInt32LE(base + 0x10 * word));
    expect(page.readUInt32LE(0x20)).toBe(0xfe00_0000);
    expect(page.readUInt32LE(0xd0)).toBe(logicalId);
    expect(page.readUInt32LE(0xf0)).toBe(0x1ff);
    expect(page.readUInt32LE(0x80)).toBe(0);
    expect([...words(0x100), ...words(0x200)]).toEqual(Array.from({ length: 16 }, () => 0));
    expect(words(0x180)).toEqual(Array.from({ length: 8 }, () => 0xffff_ffff));
    expect(page.readUInt32LE(0x320)).toBe(0x7777_7777);
  });
});

describe('presetLapic', () => {
  const bytes = Buffer.alloc(0x400, 0x11);
  for (let word = 0; word < 8; word++) for (const base of [0x100, 0x200]) bytes.writeUInt32LE(0, base + 0x10 * word);
  const page = { bytes, words: wordsOf(bytes) };

  it('should set the page as it is where nothing is preset', () => {
    const { vcpu, writes } = fakeVcpu();
    presetLapic(vcpu, page, makeVcpu({}), false);
    expect(writes.map((write) => write.equals(bytes))).toEqual([true]);
  });

  it('should set the page twice where something may have been left in service', () => {
    const { vcpu, writes } = fakeVcpu();
    presetLapic(vcpu, page, makeVcpu({}), true);
    expect(writes.map((write) => write.equals(bytes))).toEqual([true, true]);
  });

  it('should set what is pending, in service and the priority, twice, and leave the page itself alone', () => {
    const before = Buffer.from(bytes);
    const { vcpu, writes } = fakeVcpu();
    presetLapic(vcpu, page, makeVcpu({ tpr: 15, irr: [16, 31, 255], isr: [64] }), false);

    const wanted = Buffer.from(bytes);
    wanted.writeUInt32LE(0xf0, 0x80);
    wanted.writeUInt32LE(0x8001_0000, 0x200);
    wanted.writeUInt32LE(0x8000_0000, 0x270);
    wanted.writeUInt32LE(1, 0x120);
    expect(writes.map((write) => write.equals(wanted))).toEqual([true, true]);
    expect(bytes.equals(before)).toBe(true);
  });
});
