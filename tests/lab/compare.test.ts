import { describe, expect, it } from 'vitest';
import { APIC_SPIV } from '../../src/abi/lapic.ts';
import { main } from '../../src/commands/main.ts';
import type { KvmOffer } from '../../src/executor/offer.ts';
import { openLab } from '../../src/lab/lab.ts';
import { offerDifferences } from '../../src/review/offer/offer-difference.ts';
import { isLabMissing } from './support.ts';
import { temporaryFolder } from '../temporary-folder.ts';

describe.skipIf(isLabMissing)('compare', () => {
  it("should find the differences between Debian's kernels, and none that the contracts do not say", async () => {
    const out = temporaryFolder();
    let text = '';
    const options = ['--base', 'debian:6.1', '--kernel', 'debian:6.12', '--seed', 'ci', '--runs', '64', '--no-install'];

    const exitCode = await main(['compare', ...options, '--out', out, '--json'], {
      stdout: { write: (piece) => (text += piece.toString()) },
      stderr: { isTTY: false, write: () => undefined },
      signal: new AbortController().signal,
      isDebugging: false,
    });

    const { groups, offers } = JSON.parse(text) as {
      groups: { key: string; confirmed: string }[];
      offers: { what: string; base: string; kernel: string }[];
    };
    const keys = groups.map(({ key }) => key).sort();
    expect(exitCode).toBe(1);
    // KVM_MAX_VCPUS twice, the extended hypercalls of 6.3, and CONFIG_KVM_XEN.
    const points = ['bankReadMax', 'hasExtendedCalls', 'interceptsXen', 'vpIndexLimit'];
    expect(keys).toEqual(points.map((point) => `contract ${point}`));
    // KVM_CAP_MAX_VCPUS and what CONFIG_KVM_XEN brings; the vectors of a fresh LAPIC are the architecture's, and frequencies are no offer.
    expect(offers).toContainEqual({ what: 'KVM_CAP_MAX_VCPUS (66)', base: '1024', kernel: '4096', bits: '' });
    expect(offers.map(({ what }) => what)).toContain('KVM_CAP_XEN_HVM (38)');
    expect(offers.filter(({ what }) => /TMCCT|TSC_FREQUENCY|leaf 0x1[56]/.test(what))).toEqual([]);
    expect(groups.filter(({ confirmed }) => confirmed !== '10/10')).toEqual([]);
  });

  it('should read the same offer of one kernel twice, with all of its parts', async () => {
    const read = async (): Promise<KvmOffer> => {
      await using lab = await openLab({
        kernel: 'debian:6.12',
        install: false,
        say: () => undefined,
        readsOffer: true,
      });
      return lab.facts.offer!;
    };
    const [first, second] = [await read(), await read()];
    expect(offerDifferences(first, second)).toEqual([]);
    expect(first.capabilities[44]).toBe(1);
    expect(first.hypervCpuid.map(({ leaf }) => leaf)).toContain(0x4000_0004);
    expect(Object.keys(first.lapic)).toEqual(['kernel xapic', 'kernel x2apic', 'split xapic', 'split x2apic']);
    // Software-disabled, all vectors 0xff (SDM volume 3, "Local APIC State After Power-Up or Reset").
    for (const page of Object.values(first.lapic)) expect(Buffer.from(page, 'hex').readUInt32LE(APIC_SPIV)).toBe(0xff);
    expect(first.msrs['0x40000002']).toBe('0x0');
  });
});
