/** What KVM gives of a VM's state, and what it takes: shown by a VM that is another one from some step on. */
import { mutantsOf } from '../mutant.ts';

const readSint = '*pdata = atomic64_read(&synic->sint[msr - HV_X64_MSR_SINT0]);';

const hyperv = mutantsOf('hyperv.c', [
  {
    name: 'os-id-unread',
    find: 'data = hv->hv_guest_os_id;',
    replace: 'data = 0;',
    mechanism: 'GUEST_OS_ID reads as 0',
    grade: 'medium',
    needs: 'a call behind a migration',
  },
  {
    name: 'page-read-off',
    find: 'data = hv->hv_hypercall;',
    replace: 'data = hv->hv_hypercall & ~1ull;',
    mechanism: 'HYPERCALL reads as if the page were off',
    grade: 'hard',
    needs: 'a page that is overwritten before a migration',
  },
  {
    name: 'sint-read-without-auto-eoi',
    find: readSint,
    replace: '*pdata = atomic64_read(&synic->sint[msr - HV_X64_MSR_SINT0]) & ~HV_SYNIC_SINT_AUTO_EOI;',
    mechanism: 'SINTs read without their auto-EOI bit',
    grade: 'hard',
    needs: 'a vector of an auto-EOI SINT that is taken behind a migration',
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
