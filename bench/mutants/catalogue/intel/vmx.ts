/** Posting, RVI, SVI, and what goes on and off with APICv: vmx.c. */
import { type Mutant, mutantsOf } from '../../mutant.ts';

const notification =
  'if (vcpu != kvm_get_running_vcpu())\n\t\t\t__apic_send_IPI_mask(get_cpu_mask(vcpu->cpu), pi_vec);\n\t\treturn;';
const on = 'if (pi_test_and_set_on(&vmx->pi_desc))\n\t\treturn 0;';
const injected =
  'kvm_lapic_set_irr(vector, apic);\n\t\tkvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t} else {';
const [irr, request, kick] = injected.split('\n\t\t') as [string, string, string];
const off =
  'secondary_exec_controls_clearbit(vmx,\n\t\t\t\t\t\t SECONDARY_EXEC_APIC_REGISTER_VIRT |\n\t\t\t\t\t\t SECONDARY_EXEC_VIRTUAL_INTR_DELIVERY);';

const posting = mutantsOf('vmx/vmx.c', [
  {
    name: 'outstanding-not-set',
    find: on,
    replace: 'if (pi_test_on(&vmx->pi_desc))\n\t\treturn 0;',
    mechanism: 'nobody looks into PIR',
    grade: 'easy',
    needs: 'any target',
  },
  {
    name: 'outstanding-not-cleared',
    find: 'pi_clear_on(&vmx->pi_desc);\n\t\t/*\n\t\t * IOMMU',
    replace: '/*\n\t\t * IOMMU',
    mechanism: 'after the first posted interrupt there are no notifications',
    grade: 'hard',
    needs: 'a halted or spinning target that is called twice',
  },
  {
    name: 'posted-wake-lost',
    find: 'kvm_vcpu_wake_up(vcpu);\n}\n\nstatic int vmx_deliver_nested_posted_interrupt',
    replace: '}\n\nstatic int vmx_deliver_nested_posted_interrupt',
    mechanism: 'a halted vCPU is not woken',
    grade: 'hard',
    needs: 'a halted target, and a wake-up that does not come from the fence',
  },
  {
    name: 'notification-lost',
    find: notification,
    replace: 'return;',
    mechanism: 'a vCPU in the guest is not notified',
    grade: 'hard',
    needs: 'a spinning target while another CPU sends',
  },
  {
    name: 'posts-nothing-high',
    find: 'if (pi_test_and_set_pir(vector, &vmx->pi_desc))\n\t\treturn 0;',
    replace: 'if (vector > 0xef || pi_test_and_set_pir(vector, &vmx->pi_desc))\n\t\treturn 0;',
    mechanism: 'vectors above 0xef are not posted',
    grade: 'medium',
    needs: 'a vector above 0xef',
  },
  {
    name: 'inhibited-event-lost',
    find: injected,
    replace: `${irr}\n\t\t${kick}`,
    mechanism: 'without APICv nobody looks at IRR when the vCPU is entered',
    grade: 'hard',
    needs: 'an auto-EOI vector in the VM, a target that ran since it was set up, then run',
  },
  {
    name: 'inhibited-kick-lost',
    find: injected,
    replace: `${irr}\n\t\t${request}\n\t} else {`,
    mechanism: 'without APICv a halted vCPU is not woken',
    grade: 'hard',
    needs: 'an auto-EOI vector in the VM, a halted target, and a wake-up that does not come from the fence',
  },
  {
    name: 'inhibited-pending-not-noted',
    find: injected,
    replace: injected.replace(irr, 'kvm_lapic_set_vector(vector, apic->regs + APIC_IRR);'),
    mechanism: 'without APICv irr_pending is not set',
    grade: 'hard',
    needs: 'an auto-EOI vector in the VM, a call, run, another call, run',
  },
]);

const status = mutantsOf('vmx/vmx.c', [
  {
    name: 'rvi-never-lowered',
    find: 'if ((u8)vector != old) {',
    replace: 'if ((u8)vector > old) {',
    mechanism: 'RVI keeps a vector that is not pending any more, and the CPU takes it',
    grade: 'medium',
    needs: 'a vector pending at an entry that does not take it, and then not any more',
  },
  {
    name: 'rvi-never-raised',
    find: 'if ((u8)vector != old) {',
    replace: 'if ((u8)vector < old) {',
    mechanism: 'RVI stays 0',
    grade: 'easy',
    needs: 'a target, then run',
  },
  {
    name: 'rvi-takes-svi-along',
    find: 'status &= ~0xff;\n\t\tstatus |= (u8)vector;',
    replace: 'status = (u8)vector;',
    mechanism: 'a posted interrupt makes the CPU forget what is in service',
    grade: 'medium',
    needs: 'a vector in service and another one posted, then run',
  },
  {
    name: 'svi-takes-rvi-along',
    find: 'status &= 0xff;\n\t\tstatus |= max_isr << 8;',
    replace: 'status = max_isr << 8;',
    mechanism: 'an EOI through the Hyper-V MSR takes RVI along, until the next entry',
    grade: 'hard',
    needs: 'a software-disabled APIC with something in service and something pending, then run',
  },
  {
    name: 'svi-neighbour',
    find: 'status |= max_isr << 8;',
    replace: 'status |= (max_isr ^ 1) << 8;',
    mechanism: 'EOI clears the neighbour',
    grade: 'medium',
    needs: 'a vector in service that the host has set, then EOI',
  },
  {
    name: 'svi-none-kept',
    find: 'if (max_isr == -1)\n\t\tmax_isr = 0;',
    replace: 'if (max_isr == -1)\n\t\treturn;',
    mechanism: 'SVI stays when nothing is in service any more',
    grade: 'medium',
    needs: 'a target that acknowledges through HV_X64_MSR_EOI, then run',
  },
  {
    name: 'rvi-with-posted-only',
    find: 'if (!is_guest_mode(vcpu) && kvm_vcpu_apicv_active(vcpu))\n\t\tvmx_set_rvi(max_irr);',
    replace:
      'if (!is_guest_mode(vcpu) && kvm_vcpu_apicv_active(vcpu) && got_posted_interrupt)\n\t\tvmx_set_rvi(max_irr);',
    mechanism: 'RVI is set only where something was posted that is above all that was pending',
    grade: 'hard',
    needs:
      'something pending while APICv goes on: an auto-EOI vector that is masked again, or an APIC that is enabled again',
  },
]);

const switching = mutantsOf('vmx/vmx.c', [
  {
    name: 'posting-not-switched-off',
    find: 'if (!kvm_vcpu_apicv_active(&vmx->vcpu))\n\t\tpin_based_exec_ctrl &= ~PIN_BASED_POSTED_INTR;',
    replace: '',
    mechanism: 'posted interrupts stay on when APICv goes off, and the CPU refuses the entry',
    grade: 'medium',
    needs: 'an auto-EOI vector in the VM, or a call from a vCPU without an APIC',
  },
  {
    name: 'delivery-not-switched-off',
    find: off,
    replace: ';',
    mechanism: 'the CPU goes on delivering virtual interrupts when APICv goes off',
    grade: 'medium',
    needs: 'an auto-EOI vector in the VM, or a call from a vCPU without an APIC',
  },
  {
    name: 'refreshed-bitmap-old',
    find: 'vmx_update_msr_bitmap_x2apic(vcpu);\n}\n\nstatic u32 vmx_exec_control',
    replace: '}\n\nstatic u32 vmx_exec_control',
    mechanism: "the guest's EOI in x2APIC mode goes to the CPU's own APIC when APICv is off",
    grade: 'hard',
    needs: 'an auto-EOI vector in the VM, and a target in x2APIC mode that acknowledges through the APIC',
  },
  {
    name: 'inhibited-x2apic-passes',
    find: 'if (enable_apicv && kvm_vcpu_apicv_active(vcpu))\n\t\t\tmode |=',
    replace: 'if (enable_apicv)\n\t\t\tmode |=',
    mechanism: "the guest's x2APIC registers are the CPU's own where APICv is off",
    grade: 'hard',
    needs: 'an auto-EOI vector in the VM, and a target in x2APIC mode that acknowledges through the APIC',
  },
  {
    name: 'both-virtual-modes',
    find: 'sec_exec_control &= ~(SECONDARY_EXEC_VIRTUALIZE_APIC_ACCESSES |\n\t\t\t      SECONDARY_EXEC_VIRTUALIZE_X2APIC_MODE);',
    replace: '',
    mechanism: 'the CPU shall virtualize both modes of the APIC at once, and refuses the entry',
    grade: 'medium',
    needs: 'a vCPU that changes between xAPIC and x2APIC',
  },
  {
    name: 'xapic-not-virtualized',
    find: 'case LAPIC_MODE_XAPIC:\n\t\tif (flexpriority_enabled) {',
    replace: 'case LAPIC_MODE_XAPIC:\n\t\tif (0) {',
    mechanism: "the page of an xAPIC is the guest's own memory again",
    grade: 'medium',
    needs: 'a target in xAPIC mode that acknowledges through the APIC, then run',
  },
  {
    name: 'page-eoi-ignored',
    find: 'kvm_lapic_set_eoi(vcpu);\n\t\t\treturn kvm_skip',
    replace: 'return kvm_skip',
    mechanism: 'without APICv EOI through the page is ignored',
    grade: 'hard',
    needs: 'an auto-EOI vector in the VM, and a target in xAPIC mode that acknowledges through the APIC, then run',
  },
  {
    name: 'below-threshold-ignored',
    find: 'kvm_apic_update_ppr(vcpu);\n\treturn 1;',
    replace: 'return 1;',
    mechanism: 'without APICv a lower TPR leaves the guest for ever',
    grade: 'hard',
    needs: 'an auto-EOI vector in the VM, a vector pending below TPR, TPR lowered through CR8',
  },
  {
    name: 'threshold-class-off',
    find: 'tpr_threshold = (irr == -1 || tpr < irr) ? 0 : irr;',
    replace: 'tpr_threshold = (irr == -1 || tpr <= irr) ? 0 : irr;',
    mechanism: 'without APICv a TPR of the class of what is pending is not trapped when it is lowered',
    grade: 'hard',
    needs: 'an auto-EOI vector in the VM, a vector pending of the class of TPR, TPR lowered through CR8',
  },
]);

export const intelVmxMutants: readonly Mutant[] = [...posting, ...status, ...switching];
