import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describePlaces, isWhitespaceOnly, parsePlaces, touchedPlaces } from '../../../src/review/touched.ts';
import { temporaryFolder } from '../../temporary-folder.ts';

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
    const folder = temporaryFolder();
    const text = 'static int f(int a)\n{\n\tx;\nout:\n\treturn 0;\n}\n';
    await writeFile(join(folder, 'before'), text);
    await writeFile(join(folder, 'after'), text.replace('return 0', 'return 1'));

    const places = await touchedPlaces(file, join(folder, 'before'), join(folder, 'after'));

    expect(places.map((place) => [place.function, place.lines])).toEqual([['f', [5, 5]]]);
  });
});
