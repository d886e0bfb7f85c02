import { describe, expect, it } from 'vitest';
import { aimAt, aimedBatches } from '../../../src/review/aim.ts';
import { describePlaces, isWhitespaceOnly, parsePlaces } from '../../../src/review/touched.ts';

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

describe('aimAt', () => {
  it('should aim at what the changed words are about', () => {
    const features = aimAt(parsePlaces(file, diff));

    expect(features).toContain('break.variableHeader');
    expect(features).not.toContain('break.repCount');
  });

  it('should aim at nothing where the calls are not touched', () => {
    expect(aimAt(parsePlaces('mm/slab.c', '@@ -1 +1 @@ free(void)\n-a\n+b\n'))).toEqual([]);
  });
});

describe('aimedBatches', () => {
  it('should give usual and aimed batches in turn, the same for the same seed', () => {
    const draw = (): string[] => {
      const stream = { seed: 's', fromBatch: 0, corpus: [], runs: 128 };
      return [...aimedBatches(stream, ['break.mask'])].map((batch) => `${batch.placeOf(3).path} ${batch.cases.length}`);
    };

    expect(draw()).toEqual(['0:3 64', 'aimed 0:3 64', '1:3 64', 'aimed 1:3 64']);
    expect(draw()).toEqual(draw());
  });
});
