/** Races in words that several write: IRR, TMR, requests, and whether something is pending (lapic.c, lapic.h, svm.c). */
import { mutantsOf } from '../../mutant.ts';

const words = mutantsOf('lapic.h', [
  {
    name: 'irr-set-not-atomic',
    find: 'set_bit(VEC_POS(vec), (bitmap) + REG_POS(vec));',
    replace: '__set_bit(VEC_POS(vec), (bitmap) + REG_POS(vec));',
    mechanism: 'a vector is made pending by a read and a write',
    grade: 'hard',
    needs: 'two vectors of one word that are sent to one vCPU at the same instruction',
  },
  {
    name: 'irr-set-in-two-steps',
    find: 'set_bit(VEC_POS(vec), (bitmap) + REG_POS(vec));',
    replace:
      'u32 *word = bitmap + REG_POS(vec);\n\tu32 old = READ_ONCE(*word);\n\n\tcpu_relax();\n\tcpu_relax();\n\tWRITE_ONCE(*word, old | BIT(VEC_POS(vec)));',
    mechanism: 'a vector is made pending by a read and, two pauses later, a write',
    grade: 'hard',
    needs: 'two vectors of one word that are sent to one vCPU at once, or one while another is taken',
  },
  {
    name: 'irr-clear-in-two-steps',
    find: 'clear_bit(VEC_POS(vec), (bitmap) + REG_POS(vec));',
    replace:
      'u32 *word = bitmap + REG_POS(vec);\n\tu32 old = READ_ONCE(*word);\n\n\tcpu_relax();\n\tcpu_relax();\n\tWRITE_ONCE(*word, old & ~BIT(VEC_POS(vec)));',
    mechanism: 'a vector is taken out of its word by a read and, two pauses later, a write',
    grade: 'hard',
    needs: 'a vector that comes while another of its word is taken',
  },
  {
    name: 'pending-noted-first',
    find: 'kvm_lapic_set_vector(vec, apic->regs + APIC_IRR);\n\t/*\n\t * irr_pending must',
    replace:
      'apic->irr_pending = true;\n\tkvm_lapic_set_vector(vec, apic->regs + APIC_IRR);\n\treturn;\n\t/*\n\t * irr_pending must',
    mechanism: 'that something is pending is noted in front of what is',
    grade: 'hard',
    needs: 'a vector that comes while the last one before it is taken',
  },
]);

const lapic = mutantsOf('lapic.c', [
  {
    name: 'pending-forgotten-late',
    find: 'apic->irr_pending = false;\n\t\tkvm_lapic_clear_vector(vec, apic->regs + APIC_IRR);\n\t\tif (apic_search_irr(apic) != -1)\n\t\t\tapic->irr_pending = true;',
    replace:
      'kvm_lapic_clear_vector(vec, apic->regs + APIC_IRR);\n\t\tif (apic_search_irr(apic) == -1)\n\t\t\tapic->irr_pending = false;',
    mechanism: 'IRR is searched first, and that nothing is pending is noted behind it',
    grade: 'hard',
    needs: 'a vector that comes while the last one before it is taken',
  },
  {
    name: 'tmr-clear-in-two-steps',
    find: 'kvm_lapic_clear_vector(vector,\n\t\t\t\t\t\t       apic->regs + APIC_TMR);',
    replace:
      '{\n\t\t\t\tu32 *word = apic->regs + APIC_TMR + REG_POS(vector);\n\t\t\t\tu32 old = READ_ONCE(*word);\n\n\t\t\t\tcpu_relax();\n\t\t\t\tWRITE_ONCE(*word, old & ~BIT(VEC_POS(vector)));\n\t\t\t}',
    mechanism: 'TMR is cleared by a read and, a pause later, a write',
    grade: 'hard',
    needs: 'two vectors of one word that are sent to one vCPU at once',
  },
]);

const svm = mutantsOf('svm/svm.c', [
  {
    name: 'request-in-two-steps',
    find: 'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t\treturn;',
    replace:
      'u64 old = READ_ONCE(vcpu->requests);\n\n\t\tcpu_relax();\n\t\tWRITE_ONCE(vcpu->requests, old | BIT_ULL(KVM_REQ_EVENT & KVM_REQUEST_MASK));\n\t\tkvm_vcpu_kick(vcpu);\n\t\treturn;',
    mechanism: 'a request is made by a read and, a pause later, a write',
    grade: 'hard',
    needs: 'another request to the vCPU, or one that it serves, at the same instant',
  },
  {
    name: 'irr-behind-kick',
    find: 'kvm_lapic_set_irr(vector, apic);\n\n\t/*\n\t * Pairs with the smp_mb_*() after setting',
    replace:
      'svm_complete_interrupt_delivery(apic->vcpu, delivery_mode, trig_mode, vector);\n\tkvm_lapic_set_irr(vector, apic);\n\treturn;\n\n\t/*\n\t * Pairs with the smp_mb_*() after setting',
    mechanism: 'a vCPU is kicked or woken in front of what it is to find',
    grade: 'hard',
    needs: 'a receiver that looks between the kick and the write behind it',
  },
  {
    name: 'kick-before-request',
    find: 'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t\treturn;',
    replace: 'kvm_vcpu_kick(vcpu);\n\t\tkvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\treturn;',
    mechanism: 'a vCPU is kicked in front of the request',
    grade: 'hard',
    needs: 'a receiver that enters the guest between the two',
  },
  {
    name: 'mode-read-before-request',
    find: 'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tkvm_vcpu_kick(vcpu);\n\t\treturn;',
    replace:
      'kvm_make_request(KVM_REQ_EVENT, vcpu);\n\t\tif (in_guest_mode)\n\t\t\tkvm_vcpu_kick(vcpu);\n\t\telse\n\t\t\tkvm_vcpu_wake_up(vcpu);\n\t\treturn;',
    mechanism: 'whether a vCPU must be kicked is read in front of the request',
    grade: 'hard',
    needs: 'a receiver that enters the guest between the two',
  },
]);

export const vectorRaceMutants = [...words, ...lapic, ...svm];
