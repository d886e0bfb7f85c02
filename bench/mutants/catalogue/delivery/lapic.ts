/** From acceptance to the handler: lapic.c, irq.c, svm.c, and the EOI MSR of hyperv.c. */
import { type Mutant, mutantsOf } from '../../mutant.ts';

const enabled = 'kvm_apic_sw_enabled(apic) &&\tkvm_apic_hw_enabled(apic)';
const search = 'return __fls(*reg) + vec;';
const deliver = 'trig_mode, vector);\n\t\tbreak;\n\n\tcase APIC_DM_REMRD';
const clearIrr = 'apic->irr_pending = false;\n\t\tkvm_lapic_clear_vector(vec, apic->regs + APIC_IRR);';
const tmr = 'apic_test_vector(vector, apic->regs + APIC_TMR) != !!trig_mode';

const acceptance = mutantsOf('lapic.c', [
  {
    name: 'disabled-either',
    find: enabled,
    replace: 'kvm_apic_sw_enabled(apic) || kvm_apic_hw_enabled(apic)',
    mechanism: 'an APIC counts as disabled only when it is so in both ways',
    grade: 'medium',
    needs: 'a target with a disabled APIC',
  },
  {
    name: 'hw-disabled-accepts',
    find: enabled,
    replace: 'kvm_apic_sw_enabled(apic)',
    mechanism: 'a hardware-disabled APIC accepts',
    grade: 'medium',
    needs: 'a target with a hardware-disabled APIC',
  },
  {
    name: 'sw-disabled-accepts',
    find: enabled,
    replace: 'kvm_apic_hw_enabled(apic)',
    mechanism: 'a software-disabled APIC accepts',
    grade: 'medium',
    needs: 'a target with a software-disabled APIC',
  },
  {
    name: 'disabled-accepts',
    find: 'if (unlikely(!apic_enabled(apic)))',
    replace: 'if (0)',
    mechanism: 'disabled APICs accept',
    grade: 'medium',
    needs: 'a target with a disabled APIC',
  },
  {
    name: 'level-needed',
    find: 'if (unlikely(trig_mode && !level))',
    replace: 'if (unlikely(!level))',
    mechanism: 'edge interrupts are dropped as deasserted ones',
    grade: 'easy',
    needs: 'any target',
  },
  {
    name: 'x2apic-only',
    find: 'if (unlikely(!apic_enabled(apic)))',
    replace: 'if (unlikely(!apic_enabled(apic) || !apic_x2apic_mode(apic)))',
    mechanism: 'an xAPIC accepts nothing',
    grade: 'medium',
    needs: 'a target with an xAPIC',
  },
  {
    name: 'tmr-kept',
    find: tmr,
    replace: 'apic_test_vector(vector, apic->regs + APIC_TMR) == !!trig_mode',
    mechanism: 'TMR is not cleared on acceptance',
    grade: 'medium',
    needs: 'a target, and a look at TMR',
  },
  {
    name: 'deliver-odd',
    find: deliver,
    replace: deliver.replace('vector)', 'vector | 1)'),
    mechanism: 'even vectors arrive as odd ones',
    grade: 'easy',
    needs: 'an even vector',
  },
  {
    name: 'deliver-nothing-low',
    find: deliver,
    replace: deliver.replace('vector)', 'vector < 0x20 ? 0x20 : vector)'),
    mechanism: 'vectors 0x10 to 0x1f arrive as 0x20',
    grade: 'medium',
    needs: 'a vector of 0x10 to 0x1f',
  },
]);

const handling = mutantsOf('lapic.c', [
  {
    name: 'lowest-of-word',
    find: search,
    replace: 'return __ffs(*reg) + vec;',
    mechanism: 'of 32 vectors the lowest comes first',
    grade: 'medium',
    needs: 'two vectors of one word pending, then run',
  },
  {
    name: 'first-word-unsearched',
    find: 'vec >= 0; vec -= APIC_VECTORS_PER_REG) {\n\t\treg = bitmap',
    replace: 'vec > 0; vec -= APIC_VECTORS_PER_REG) {\n\t\treg = bitmap',
    mechanism: 'vectors 0x10 to 0x1f are never taken',
    grade: 'medium',
    needs: 'a vector of 0x10 to 0x1f, then run',
  },
  {
    name: 'second-pending-forgotten',
    find: 'if (apic_search_irr(apic) != -1)\n\t\t\tapic->irr_pending = true;',
    replace: ';',
    mechanism: 'after one interrupt the others are forgotten',
    grade: 'medium',
    needs: 'two vectors pending, then run',
  },
  {
    name: 'irr-not-cleared',
    find: clearIrr,
    replace: 'apic->irr_pending = true;',
    mechanism: 'an interrupt is taken again and again',
    grade: 'medium',
    needs: 'a target, then run',
  },
  {
    name: 'isr-not-counted',
    find: '++apic->isr_count;',
    replace: ';',
    mechanism: 'EOI does not find what is in service',
    grade: 'medium',
    needs: 'a target, then run',
  },
  {
    name: 'isr-cache-off-by-one',
    find: 'apic->highest_isr_cache = vec;',
    replace: 'apic->highest_isr_cache = vec ^ 1;',
    mechanism: 'EOI clears the neighbour',
    grade: 'medium',
    needs: 'a target, then run',
  },
  {
    name: 'isr-count-twice',
    find: '--apic->isr_count;',
    replace: 'apic->isr_count -= 2;',
    mechanism: 'the count of vectors in service falls below zero: BUG_ON',
    grade: 'medium',
    needs: 'a target, then run',
    expect: 'oops',
  },
  {
    name: 'eoi-keeps-isr',
    find: 'apic_clear_isr(vector, apic);\n\tapic_update_ppr(apic);',
    replace: 'apic_update_ppr(apic);',
    mechanism: 'EOI does not clear ISR',
    grade: 'medium',
    needs: 'a target, then run',
  },
  {
    name: 'x2apic-eoi-ignored',
    find: 'return kvm_lapic_msr_write(apic, reg, data);',
    replace: 'return reg == APIC_EOI ? 0 : kvm_lapic_msr_write(apic, reg, data);',
    mechanism: 'EOI through the x2APIC MSR is ignored',
    grade: 'hard',
    needs: 'a target in x2APIC mode that acknowledges through the APIC, then run',
  },
  {
    name: 'xapic-eoi-ignored',
    find: 'kvm_lapic_reg_write(apic, offset & 0xff0, val);',
    replace: 'if (offset != APIC_EOI)\n\t\tkvm_lapic_reg_write(apic, offset & 0xff0, val);',
    mechanism: 'EOI through the xAPIC page is ignored',
    grade: 'hard',
    needs: 'a target in xAPIC mode that acknowledges through the APIC, then run',
  },
  {
    name: 'tpr-blocks-lowest',
    find: 'ppr = tpr & 0xff;',
    replace: 'ppr = (tpr & 0xff) | 0x10;',
    mechanism: 'vectors 0x10 to 0x1f are blocked',
    grade: 'medium',
    needs: 'a vector of 0x10 to 0x1f, then run',
  },
]);

const around = [
  ...mutantsOf('hyperv.c', [
    {
      name: 'hv-eoi-ignored',
      find: 'return kvm_hv_vapic_msr_write(vcpu, APIC_EOI, data);',
      replace: 'return 0;',
      mechanism: 'EOI through the Hyper-V MSR is ignored',
      grade: 'medium',
      needs: 'a target that acknowledges through HV_X64_MSR_EOI, then run',
    },
  ]),
  ...mutantsOf('irq.c', [
    {
      name: 'low-not-injectable',
      find: 'return kvm_apic_has_interrupt(v) != -1; /* LAPIC */',
      replace: 'return kvm_apic_has_interrupt(v) > 0x1f;',
      mechanism: 'vectors 0x10 to 0x1f alone are not injected',
      grade: 'medium',
      needs: 'a vector of 0x10 to 0x1f, then run',
    },
  ]),
  ...mutantsOf('svm/svm.c', [
    {
      name: 'pending-not-noted',
      find: 'kvm_lapic_set_irr(vector, apic);',
      replace: 'kvm_lapic_set_vector(vector, apic->regs + APIC_IRR);',
      mechanism:
        'irr_pending is not set: lost after all that was pending is handled (as before "Unconditionally set irr_pending")',
      grade: 'hard',
      needs: 'a call, run, another call, run',
    },
    {
      name: 'event-not-requested',
      find: 'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t\treturn;',
      replace: 'kvm_vcpu_kick(vcpu);\n\t\treturn;',
      mechanism: 'nobody looks at IRR when the vCPU is entered',
      grade: 'hard',
      needs: 'a target that ran since it was set up, then run',
    },
    {
      name: 'kick-lost',
      find: 'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t\treturn;',
      replace: 'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\treturn;',
      mechanism: 'a halted vCPU is not woken',
      grade: 'hard',
      needs: 'a halted target, and a wake-up that does not come from the fence',
    },
  ]),
];

export const lapicMutants: readonly Mutant[] = [...acceptance, ...handling, ...around];
