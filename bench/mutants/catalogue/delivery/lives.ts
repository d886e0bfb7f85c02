/** What a vCPU goes through: INIT, start-up IPIs, SINTs that share and change vectors, MSRs that are read back. */
import { mutantsOf } from '../../mutant.ts';

const lapic = mutantsOf('lapic.c', [
  {
    name: 'boot-processor-waits',
    find: 'if (kvm_vcpu_is_bsp(apic->vcpu))',
    replace: 'if (0)',
    mechanism: 'the boot processor waits for a start-up IPI behind INIT',
    grade: 'medium',
    needs: 'INIT and a start-up IPI to vCPU id 0',
  },
  {
    name: 'sipi-starts-whoever',
    find: 'if (vcpu->arch.mp_state == KVM_MP_STATE_INIT_RECEIVED) {',
    replace: 'if (1) {',
    mechanism: 'a start-up IPI starts who does not wait for it',
    grade: 'medium',
    needs: 'a second start-up IPI, or one to who waits for INIT',
  },
]);

const start = mutantsOf('x86.c', [
  {
    name: 'sipi-other-selector',
    find: 'cs.selector = vector << 8;',
    replace: 'cs.selector = vector << 4;',
    mechanism: 'CS has another selector where a vCPU starts',
    grade: 'medium',
    needs: 'a start-up IPI behind INIT',
  },
]);

export const livesMutants = [...lapic, ...start];

const moreLapic = mutantsOf('lapic.c', [
  {
    name: 'init-keeps-isr',
    find: 'kvm_lapic_set_reg(apic, APIC_ISR + 0x10 * i, 0);',
    replace: '',
    mechanism: 'INIT does not clear ISR',
    grade: 'medium',
    needs: 'INIT with a vector in service',
  },
  {
    name: 'init-keeps-tmr',
    find: 'kvm_lapic_set_reg(apic, APIC_TMR + 0x10 * i, 0);',
    replace: '',
    mechanism: 'INIT does not clear TMR',
    grade: 'medium',
    needs: 'INIT, and a look at TMR',
  },
  {
    name: 'init-keeps-on',
    find: 'apic_set_spiv(apic, 0xff);',
    replace: 'apic_set_spiv(apic, 0x1ff);',
    mechanism: 'INIT leaves the APIC enabled in software',
    grade: 'medium',
    needs: 'a vCPU that gets INIT',
  },
  {
    name: 'init-to-xapic',
    find: 'if (!init_event) {\n\t\tmsr_val',
    replace: 'if (1) {\n\t\tmsr_val',
    mechanism: 'INIT resets the APIC base as RESET does',
    grade: 'medium',
    needs: 'INIT to an x2APIC',
  },
  {
    name: 'sipi-page-7-bit',
    find: 'sipi_vector = apic->sipi_vector;',
    replace: 'sipi_vector = apic->sipi_vector & 0x7f;',
    mechanism: 'the upper half of the pages is not for start-up IPIs',
    grade: 'medium',
    needs: 'a start-up IPI for page 0x80 or above',
  },
  {
    name: 'sipi-while-off',
    find: 'if (!kvm_apic_has_pending_init_or_sipi(vcpu))\n\t\treturn 0;\n\n\tif (is_guest_mode',
    replace:
      'if (!kvm_apic_has_pending_init_or_sipi(vcpu) || !apic_enabled(apic))\n\t\treturn 0;\n\n\tif (is_guest_mode',
    mechanism: 'a vCPU whose APIC is disabled in software does not act on INIT and start-up IPIs',
    grade: 'medium',
    needs: 'INIT, which disables the APIC, and a start-up IPI',
  },
]);

const moreX86 = mutantsOf('x86.c', [
  {
    name: 'waits-for-sipi-no-more',
    find: '} else\n\t\tvcpu->arch.mp_state = mp_state->mp_state;',
    replace:
      '} else\n\t\tvcpu->arch.mp_state = mp_state->mp_state == KVM_MP_STATE_INIT_RECEIVED ?\n\t\t\tKVM_MP_STATE_UNINITIALIZED : mp_state->mp_state;',
    mechanism: 'who waits for a start-up IPI waits for INIT again when its state is restored',
    grade: 'hard',
    needs: 'a start-up IPI to who was made to wait for it by its state',
  },
  {
    name: 'apic-base-without-x2apic',
    find: 'msr_info->data = vcpu->arch.apic_base;',
    replace: 'msr_info->data = vcpu->arch.apic_base & ~X2APIC_ENABLE;',
    mechanism: 'IA32_APIC_BASE reads as that of an xAPIC',
    grade: 'medium',
    needs: 'IA32_APIC_BASE of an x2APIC read back',
  },
]);

const moreHyperv = mutantsOf('hyperv.c', [
  {
    name: 'sint-first-of-vector',
    find: 'if (synic_get_sint_vector(sint_value) == vector &&\n\t\t    sint_value & HV_SYNIC_SINT_AUTO_EOI)\n\t\t\treturn true;',
    replace: 'if (synic_get_sint_vector(sint_value) == vector)\n\t\t\treturn sint_value & HV_SYNIC_SINT_AUTO_EOI;',
    mechanism: 'of SINTs that share a vector the first one alone says whether it is auto-EOI',
    grade: 'hard',
    needs: 'two SINTs with one vector, the second of which is auto-EOI, and that vector taken',
  },
  {
    name: 'sint-auto-eoi-for-ever',
    find: 'else\n\t\t__clear_bit(vector, synic->auto_eoi_bitmap);',
    replace: '',
    mechanism: 'a vector that was auto-EOI once stays so',
    grade: 'hard',
    needs: 'an auto-EOI SINT that is masked or gets another vector, and the old one taken',
  },
  {
    name: 'sint-15-left-out',
    find: 'for (i = 0; i < ARRAY_SIZE(synic->sint); i++) {\n\t\tsint_value =',
    replace: 'for (i = 0; i < ARRAY_SIZE(synic->sint) - 1; i++) {\n\t\tsint_value =',
    mechanism: 'the last SINT does not make a vector auto-EOI',
    grade: 'hard',
    needs: 'a vector that SINT15 alone makes auto-EOI, and that vector taken',
  },
  {
    name: 'sint-polling-is-masked',
    find: 'if (sint_value & HV_SYNIC_SINT_MASKED)',
    replace: 'if (sint_value & (HV_SYNIC_SINT_MASKED | BIT_ULL(18)))',
    mechanism: 'a polled SINT counts as masked',
    grade: 'hard',
    needs: 'an auto-EOI SINT with the polling bit, and its vector taken',
  },
  {
    name: 'sint-new-vector-unseen',
    find: 'synic_update_vector(synic, vector);\n\n\t/* Load',
    replace: '/* Load',
    mechanism: 'the vector that a SINT gets is not looked at',
    grade: 'medium',
    needs: 'an auto-EOI SINT that is written, and its vector taken',
  },
  {
    name: 'sint-read-masked',
    find: '*pdata = atomic64_read(&synic->sint[msr - HV_X64_MSR_SINT0]);',
    replace: '*pdata = atomic64_read(&synic->sint[msr - HV_X64_MSR_SINT0]) | HV_SYNIC_SINT_MASKED;',
    mechanism: 'SINTs read as masked',
    grade: 'medium',
    needs: 'an unmasked SINT read back',
  },
  {
    name: 'os-id-read-32-bit',
    find: 'data = hv->hv_guest_os_id;',
    replace: 'data = (u32)hv->hv_guest_os_id;',
    mechanism: 'the upper half of GUEST_OS_ID reads as 0',
    grade: 'medium',
    needs: 'GUEST_OS_ID with upper bits read back',
  },
  {
    name: 'os-id-32-bit',
    find: 'hv->hv_guest_os_id = data;',
    replace: 'hv->hv_guest_os_id = (u32)data;',
    mechanism: 'the upper half of GUEST_OS_ID is not kept',
    grade: 'medium',
    needs: 'GUEST_OS_ID with upper bits read back, or with nothing else set',
  },
  {
    name: 'page-locked-forgotten',
    find: 'return 1;\n\t\thv->hv_hypercall = data;',
    replace: 'return 1;\n\t\thv->hv_hypercall = data & ~2ull;',
    mechanism: 'the locked bit of HYPERCALL is not kept',
    grade: 'medium',
    needs: 'HYPERCALL with the locked bit read back',
  },
  {
    name: 'page-refused-kept',
    find: 'return 1;\n\t\thv->hv_hypercall = data;',
    replace: '{ hv->hv_hypercall = data; return 1; }\n\t\thv->hv_hypercall = data;',
    mechanism: 'a page that cannot be written is noted all the same',
    grade: 'hard',
    needs: 'a page outside of memory, and HYPERCALL read back',
  },
  {
    name: 'page-off-unwritten',
    find: 'if (!(data & HV_X64_MSR_HYPERCALL_ENABLE)) {\n\t\t\thv->hv_hypercall = data;',
    replace: 'if (!(data & HV_X64_MSR_HYPERCALL_ENABLE)) {\n\t\t\thv->hv_hypercall &= ~HV_X64_MSR_HYPERCALL_ENABLE;',
    mechanism: 'HYPERCALL written with the page off keeps the old address',
    grade: 'hard',
    needs: 'HYPERCALL written without the enable bit and read back',
  },
]);

export const moreLivesMutants = [...moreLapic, ...moreX86, ...moreHyperv];
