import { describe, expect, it } from 'vitest';
import { APIC_SPIV, APIC_TMCCT, lapicPageBytes } from '../../../src/abi/lapic.ts';
import { readKvmFacts } from '../../../src/executor/kvm-facts.ts';
import { KVM_CAP, KVM_CHECK_EXTENSION } from '../../../src/hand/uapi.ts';
import { steadyLapic, steadyLeaves, steadyMsrs } from '../../../src/executor/read-offer.ts';
import { QuietHand } from '../../hand/quiet-hand.ts';

function entry(leaf: number, subleaf: number, registers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(40);
  for (const [at, value] of [leaf, subleaf, 1, ...registers].entries()) bytes.writeUInt32LE(value, 4 * at);
  return bytes;
}

describe('readKvmFacts', () => {
  it('should read what KVM offers where that is asked for, and nothing of it elsewhere', async () => {
    const [asked, unasked] = [new QuietHand(), new QuietHand()];
    const { facts } = await readKvmFacts(asked, 'lab', { readsOffer: true });
    expect((await readKvmFacts(unasked, 'lab', {})).facts.offer).toBe(undefined);
    expect(asked.scripts.length).toBe(unasked.scripts.length + 2);
    // The quiet hand has every capability, LAPIC pages of zeros, and no MSR.
    expect(Object.keys(facts.offer!.capabilities).length).toBe(256);
    expect(Object.keys(facts.offer!.lapic)).toEqual(['kernel xapic', 'kernel x2apic', 'split xapic', 'split x2apic']);
    for (const page of Object.values(facts.offer!.lapic)) expect(page).toBe('00'.repeat(lapicPageBytes));
    expect(facts.offer!.msrs).toEqual({});
  });

  it('should take a KVM that does not say all of what is needed for one that offers less, where that is compared', async () => {
    const hand = without(KVM_CAP.HYPERV_SEND_IPI);
    const { facts } = await readKvmFacts(hand, 'lab', { readsOffer: true });

    expect(facts.offer!.capabilities[KVM_CAP.HYPERV_SEND_IPI] ?? 0).toBe(0);
    await expect(readKvmFacts(hand, 'lab', {})).rejects.toThrow('KVM_CAP_HYPERV_SEND_IPI (161) is 0');
    const { HYPERV, HYPERV_VP_INDEX, HYPERV_SEND_IPI, HYPERV_CPUID } = KVM_CAP;
    const none = without(HYPERV, HYPERV_VP_INDEX, HYPERV_SEND_IPI, HYPERV_CPUID);
    await expect(readKvmFacts(none, 'lab', { readsOffer: true })).rejects.toThrow('KVM_CAP_HYPERV (44) is 0');
  });
});

/** A quiet hand whose KVM says that it has none of these capabilities. */
function without(...capabilities: readonly number[]): QuietHand {
  const hand = new QuietHand();
  hand.answering = ({ name, fields }) => {
    const isAsked = name === 'ioctlValue' && fields['request'] === KVM_CHECK_EXTENSION;
    return isAsked && capabilities.includes(Number(fields['value'])) ? { bytes: Buffer.alloc(4) } : null;
  };
  return hand;
}

describe('steadyLeaves', () => {
  it('should leave out measured frequencies and the initial APIC ID, and nothing else', () => {
    const leaves = [entry(1, 0, [1, 0x0302_0800, 3, 4]), entry(0x15, 0, [1, 2, 3, 0]), entry(0x16, 0, [9, 9, 9, 0])];
    expect(steadyLeaves([...leaves, entry(7, 1, [0xffff_ffff, 2, 3, 4])])).toEqual([
      { leaf: 1, subleaf: 0, eax: 1, ebx: 0x0002_0800, ecx: 3, edx: 4 },
      { leaf: 7, subleaf: 1, eax: 0xffff_ffff, ebx: 2, ecx: 3, edx: 4 },
    ]);
  });
});

describe('steadyLapic', () => {
  it('should leave out what the timer is at, and change no page of others', () => {
    const page = Buffer.alloc(lapicPageBytes);
    page.writeUInt32LE(0xff, APIC_SPIV);
    const before = steadyLapic(page);
    page.writeUInt32LE(1234, APIC_TMCCT);
    expect(steadyLapic(page)).toBe(before);
    expect(page.readUInt32LE(APIC_TMCCT)).toBe(1234);
    page.writeUInt32LE(0x1ff, APIC_SPIV);
    expect(steadyLapic(page)).not.toBe(before);
  });
});

describe('steadyMsrs', () => {
  it('should keep what is readable and the same both times', () => {
    const first = new Map<number, bigint | null>([
      [0x10, 5n],
      [0x1b, 0xfee0_0900n],
      [0x3a, null],
      [0xce, 7n],
      [0x4000_0022, 1n],
    ]);
    expect(steadyMsrs(first, new Map([...first, [0xce, 8n]]))).toEqual({ '0x1b': '0xfee00900' });
  });
});
