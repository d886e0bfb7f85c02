/** How interrupts are posted, taken and ended with APICv: lapic.c. */
import { type Mutant, mutantsOf } from '../../mutant.ts';

const svi = 'kvm_x86_call(hwapic_isr_update)(apic->vcpu, apic_find_highest_isr(apic));';
const restored =
  'kvm_x86_call(hwapic_irr_update)(vcpu, apic_find_highest_irr(apic));\n\t\tkvm_x86_call(hwapic_isr_update)(vcpu, apic_find_highest_isr(apic));';
const [restoredRvi, restoredSvi] = restored.split('\n\t\t') as [string, string];
const told = 'kvm_make_request(KVM_REQ_APICV_UPDATE, vcpu);\n\t\tkvm_x86_call(set_virtual_apic_mode)(vcpu);';
const [toldApicv, toldMode] = told.split('\n\t\t') as [string, string];

const posting = mutantsOf('lapic.c', [
  {
    name: 'pir-last-word-lost',
    find: 'for (i = vec = 0; i <= 7; i++, vec += 32) {\n\t\tu32 *p_irr',
    replace: 'for (i = vec = 0; i < 7; i++, vec += 32) {\n\t\tu32 *p_irr',
    mechanism: 'posted vectors above 0xdf stay in PIR',
    grade: 'medium',
    needs: 'a vector above 0xdf',
  },
  {
    name: 'pir-replaces-irr',
    find: 'irr_val = prev_irr_val | pir_val;',
    replace: 'irr_val = pir_val;',
    mechanism: 'what was pending is lost when something of the same word is posted',
    grade: 'medium',
    needs: 'two calls to one target, with a look between them or a vector pending before',
  },
  {
    name: 'pir-not-emptied',
    find: 'pir_val = xchg(&pir[i], 0);',
    replace: 'pir_val = READ_ONCE(pir[i]);',
    mechanism: 'a posted vector is pending again whenever something else is posted',
    grade: 'medium',
    needs: 'a call, run, another call',
  },
  {
    name: 'rvi-of-posted-only',
    find: 'if (irr_val)\n\t\t\t*max_irr = __fls(irr_val) + vec;',
    replace: 'if (pir_val)\n\t\t\t*max_irr = __fls(irr_val) + vec;',
    mechanism: 'RVI is the highest word in which something was posted: what is pending above it is taken late',
    grade: 'hard',
    needs: 'a high vector pending, a low one posted, then run',
  },
  {
    name: 'rvi-lowest-of-word',
    find: '*max_irr = __fls(irr_val) + vec;',
    replace: '*max_irr = __ffs(irr_val) + vec;',
    mechanism: 'RVI is the lowest pending vector of its word',
    grade: 'medium',
    needs: 'two vectors of one word pending, then run',
  },
  {
    name: 'wake-without-pir',
    find: 'highest_irr = kvm_x86_call(sync_pir_to_irr)(apic->vcpu);',
    replace: 'highest_irr = apic_find_highest_irr(apic);',
    mechanism: 'whether a halted vCPU has something to take is asked without looking at PIR',
    grade: 'hard',
    needs: 'a halted target',
  },
]);

const serving = mutantsOf('lapic.c', [
  {
    name: 'msr-eoi-keeps-svi',
    find: svi,
    replace: ';',
    mechanism: 'after an EOI through the Hyper-V MSR the CPU still holds the vector for the one in service',
    grade: 'medium',
    needs: 'a target that acknowledges through HV_X64_MSR_EOI, then run',
  },
  {
    name: 'msr-eoi-forgets-svi',
    find: svi,
    replace: svi.replace('apic_find_highest_isr(apic)', '-1'),
    mechanism: 'after an EOI through the Hyper-V MSR nothing is in service for the CPU',
    grade: 'hard',
    needs: 'a handler inside a handler, and EOI through HV_X64_MSR_EOI',
  },
  {
    name: 'msr-eoi-counts-down',
    find: `if (unlikely(apic->apicv_active))\n\t\t${svi}\n\telse {\n\t\t--apic->isr_count;`,
    replace: `if (unlikely(apic->apicv_active))\n\t\t${svi}\n\t{\n\t\t--apic->isr_count;`,
    mechanism: 'an EOI through the Hyper-V MSR counts down the 1 that stands for "look into ISR"',
    grade: 'medium',
    needs: 'two EOIs through HV_X64_MSR_EOI',
    expect: 'oops',
  },
  {
    name: 'in-service-counted-with-apicv',
    find: 'if (apic->apicv_active)\n\t\tapic->isr_count = 1;',
    replace: 'if (0)\n\t\tapic->isr_count = 1;',
    mechanism: 'what the CPU puts in service is not seen where nothing was in service before',
    grade: 'medium',
    needs: 'a target, then run, with EOI through HV_X64_MSR_EOI or a look while a handler is open',
  },
  {
    name: 'inhibited-in-service-uncounted',
    find: 'apic->isr_count = count_vectors(apic->regs + APIC_ISR);',
    replace: 'apic->isr_count = 0;',
    mechanism: 'with APICv off, what was in service before is not found by EOI',
    grade: 'hard',
    needs: 'an auto-EOI vector in the VM, and a vector in service',
  },
  {
    name: 'pending-searched-once',
    find: 'set irr_pending accordingly.\n\t */\n\tapic->irr_pending = true;',
    replace: 'set irr_pending accordingly.\n\t */\n\tapic->irr_pending = apic_search_irr(apic) != -1;',
    mechanism: 'what is posted after a state without anything pending is taken out of RVI at the next entry',
    grade: 'medium',
    needs: 'a target that does not take the vector at its first entry',
  },
]);

const states = mutantsOf('lapic.c', [
  {
    name: 'restored-rvi-old',
    find: restored,
    replace: restoredSvi,
    mechanism: 'KVM_SET_LAPIC leaves RVI as it is',
    grade: 'easy',
    needs:
      'the entry that follows sets RVI, because the map of APICs was made anew (vcpu_scan_ioapic); 7.3 has no such line',
    expect: 'equivalent',
  },
  {
    name: 'restored-svi-old',
    find: restored,
    replace: restoredRvi,
    mechanism: 'KVM_SET_LAPIC leaves SVI as it is',
    grade: 'medium',
    needs: 'a vector in service when the case begins, or a migration inside a handler, then EOI',
  },
  {
    name: 'created-inactive',
    find: 'apic->apicv_active = true;\n',
    replace: 'apic->apicv_active = false;\n',
    mechanism: 'a vCPU begins without APICv, and what is set before its first entry does not reach RVI',
    grade: 'hard',
    needs: 'a vector pending in a software-disabled APIC of a fresh vCPU, then run',
  },
  {
    name: 'base-change-keeps-apicv',
    find: told,
    replace: toldMode,
    mechanism: 'APICv stays active for a vCPU whose APIC is hardware-disabled',
    grade: 'hard',
    needs: 'a vector pending, the APIC hardware-disabled, then run',
  },
  {
    name: 'base-change-keeps-mode',
    find: told,
    replace: toldApicv,
    mechanism: 'the CPU virtualizes the APIC of the mode that it had when it was made',
    grade: 'easy',
    needs: 'the registers of an x2APIC leave the guest then, and KVM does the same with them',
    expect: 'equivalent',
  },
  {
    name: 'threshold-never-set',
    find: 'if (vcpu->arch.apic->apicv_active)\n\t\treturn;\n\n\tif (!vcpu->arch.apic->vapic_addr)',
    replace: 'return;\n\n\tif (!vcpu->arch.apic->vapic_addr)',
    mechanism: 'without APICv a lower TPR does not let a pending vector in',
    grade: 'hard',
    needs: 'an auto-EOI vector in the VM, a vector pending below TPR, TPR lowered through CR8',
  },
]);

export const intelLapicMutants: readonly Mutant[] = [...posting, ...serving, ...states];
