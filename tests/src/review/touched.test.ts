import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { aimAt, aimedBatches } from '../../../src/review/aim/words.ts';
import { describePlaces, isWhitespaceOnly, parsePlaces, touchedPlaces } from '../../../src/review/touched.ts';

const file = 'arch/x86/kvm/hyperv.c';
const diff = `--- a/${file}
+++ b/${file}
@@ -2291,2 +2291 @@ static u64 kvm_hv_send_ipi(struct kvm_vcpu *vcpu, struct kvm_hv_hcall *hc)
-		if (hc->var_cnt != hweight64(valid_bank_mask))
-			return HV_STATUS_INVALID_HYPERCALL_INPUT;
+		hc->var_cnt = hweight64(valid_bank_mask);
@@ -2400 +2400,0 @@ int other(void)
-	return 0;
`;

describe('parsePlaces', () => {
  it('should give functions, lines and words', () => {
    const places = parsePlaces(file, diff);

    expect(places).toHaveLength(2);
    expect(places[0]).toMatchObject({ file, function: 'kvm_hv_send_ipi', lines: [2291, 2291] });
    expect(places[0]!.text).toContain('hweight64');
    expect(describePlaces(places)).toEqual([`kvm_hv_send_ipi (${file}:2291)`, `other (${file}:2400)`]);
  });

  it('should tell changes of blanks from others', () => {
    expect(isWhitespaceOnly(parsePlaces(file, diff))).toBe(false);
    expect(isWhitespaceOnly(parsePlaces(file, '@@ -1,0 +2 @@ f(void)\n+\t\n'))).toBe(true);
  });
});

describe('touchedPlaces', () => {
  it('should name the function, not the label, before the change', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'hvipi-test-'));
    const text = 'static int f(int a)\n{\n\tx;\nout:\n\treturn 0;\n}\n';
    await writeFile(join(folder, 'before'), text);
    await writeFile(join(folder, 'after'), text.replace('return 0', 'return 1'));

    const places = await touchedPlaces(file, join(folder, 'before'), join(folder, 'after'));
    await rm(folder, { recursive: true });

    expect(places.map((place) => [place.function, place.lines])).toEqual([['f', [5, 5]]]);
  });
});

describe('aimAt', () => {
  it('should aim at what the changed words are about', () => {
    const features = aimAt(parsePlaces(file, diff));

    expect(features).toContain('break.variableHeader');
    expect(features).not.toContain('break.repCount');
  });

  it.each([
    ['if (!lapic_in_kernel(vcpu))', 'noLapic'],
    ['if (kvm_x86_call(get_cpl)(vcpu) != 0)', 'cpl.3'],
    ['if (is_64_bit_hypercall(vcpu)) {', 'mode.compat'],
    ['if (!hv_vcpu->enforce_cpuid)', 'cpuid'],
    ['hv->hv_guest_os_id = data;', 'noGuestOsId'],
    ['if (kvm_xen_hypercall_enabled(vcpu->kvm))', 'xen'],
    ['kvm_x86_call(patch_hypercall)(vcpu, instructions);', 'way.page'],
  ] as const)('should aim at what "%s" decides about', (text, aim) => {
    const places = [{ file, function: 'f', lines: [1, 1] as const, removed: null, added: [1, 1] as const, text }];

    expect(aimAt(places)).toContain(aim);
    expect([...aimedBatches({ seed: 's', fromBatch: 0, corpus: [], runs: 1 }, [aim])]).toHaveLength(2);
  });

  it('should make machines without a LAPIC for what decides about those', () => {
    const batches = [...aimedBatches({ seed: 's', fromBatch: 0, corpus: [], runs: 1024 }, ['noLapic'])];
    const aimed = batches.filter((batch) => batch.placeOf(0).path.startsWith('aimed'));
    const without = aimed.filter(({ cases }) => cases.every(({ machine }) => machine.irqchip === 'none'));

    // Each aim is on in half of the aimed batches.
    expect(without.length).toBeGreaterThan(aimed.length / 4);
  });

  it('should aim at nothing where the calls are not touched', () => {
    expect(aimAt(parsePlaces('mm/slab.c', '@@ -1 +1 @@ free(void)\n-a\n+b\n'))).toEqual([]);
  });
});

describe('aimedBatches', () => {
  it('should give usual and aimed batches in turn, the same for the same seed', () => {
    const draw = (): string[] => {
      const stream = { seed: 's', fromBatch: 0, corpus: [], runs: 20 };
      return [...aimedBatches(stream, ['break.mask'])].map((batch) => `${batch.placeOf(3).path} ${batch.cases.length}`);
    };

    expect(draw()).toEqual(['0:3 8', 'aimed 0:3 8', '1:3 8', 'aimed 1:3 8', '2:3 4', 'aimed 2:3 8']);
    expect(draw()).toEqual(draw());
  });
});
