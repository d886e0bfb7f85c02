/** What KVM gives of a VM's state, and what it takes: shown by migrations, and by MSRs that are read back. */
import { mutantsOf } from '../mutant.ts';

const readSint = '*pdata = atomic64_read(&synic->sint[msr - HV_X64_MSR_SINT0]);';

const hyperv = mutantsOf('hyperv.c', [
  {
    name: 'os-id-unread',
    find: 'data = hv->hv_guest_os_id;',
    replace: 'data = 0;',
    mechanism: 'GUEST_OS_ID reads as 0',
    grade: 'medium',
    needs: 'GUEST_OS_ID read back, or a call behind a migration',
  },
  {
    name: 'page-read-off',
    find: 'data = hv->hv_hypercall;',
    replace: 'data = hv->hv_hypercall & ~1ull;',
    mechanism: 'HYPERCALL reads as if the page were off',
    grade: 'hard',
    needs: 'HYPERCALL read with the page on, or a page that is overwritten before a migration',
  },
  {
    name: 'sint-read-without-auto-eoi',
    find: readSint,
    replace: '*pdata = atomic64_read(&synic->sint[msr - HV_X64_MSR_SINT0]) & ~HV_SYNIC_SINT_AUTO_EOI;',
    mechanism: 'SINTs read without their auto-EOI bit',
    grade: 'hard',
    needs: 'a SINT read back, or a vector of an auto-EOI SINT that is taken behind a migration',
  },
  {
    name: 'sint-old-vector-kept',
    find: 'synic_update_vector(synic, old_vector);',
    replace: '(void)old_vector;',
    mechanism: 'a vector stays auto-EOI when its SINT gets another one',
    grade: 'hard',
    needs: 'a SINT that changes its vector, and the old one taken',
  },
  {
    name: 'sint-masked-all-the-same',
    find: 'if (sint_value & HV_SYNIC_SINT_MASKED)',
    replace: 'if (0)',
    mechanism: 'masked SINTs count',
    grade: 'hard',
    needs: 'a vector that a masked auto-EOI SINT alone has',
  },
  {
    name: 'hypercall-off-forgets',
    find: 'hv->hv_hypercall &= ~HV_X64_MSR_HYPERCALL_ENABLE;',
    replace: 'hv->hv_hypercall = 0;',
    mechanism: 'GUEST_OS_ID 0 makes HYPERCALL 0',
    grade: 'medium',
    needs: 'HYPERCALL read back behind GUEST_OS_ID 0',
  },
]);

const lapic = mutantsOf('lapic.c', [
  {
    name: 'restored-irr-unseen',
    find: 'apic->irr_pending = true;\n\n\t',
    replace: 'apic->irr_pending = false;\n\n\t',
    mechanism: 'what KVM_SET_LAPIC makes pending is not looked for',
    grade: 'medium',
    needs: 'a vector that is pending when a LAPIC is set, and taken behind that',
  },
]);

export const migrationMutants = [...hyperv, ...lapic];
