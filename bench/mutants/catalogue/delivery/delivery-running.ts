/** Receivers that run: priority, acknowledging, taking; lapic.c. */
import { type Mutant, mutantsOf } from '../../mutant.ts';

export const runningDeliveryMutants: readonly Mutant[] = mutantsOf('lapic.c', [
  {
    name: 'raised-tpr-skipped',
    find: 'if (unlikely(!apic_enabled(apic)))',
    replace: 'if (unlikely(!apic_enabled(apic) || (kvm_lapic_get_reg(apic, APIC_TASKPRI) & 0xf0)))',
    mechanism: 'a receiver whose TPR is raised gets nothing',
    grade: 'medium',
    needs: 'a target with a TPR above 0',
  },
  {
    name: 'taken-twice',
    find: 'apic_clear_irr(vector, apic);',
    replace:
      'static bool again;\n\tapic_clear_irr(vector, apic);\n\tif ((again = !again))\n\t\tkvm_lapic_set_irr(vector, apic);',
    mechanism: 'every other vector that is taken stays pending and is taken once more',
    grade: 'easy',
    needs: 'a receiver that takes something',
  },
  {
    name: 'eoi-for-lowest',
    find: 'int vector = apic_find_highest_isr(apic);\n\n\ttrace_kvm_eoi(apic, vector);',
    replace:
      'int v, vector = -1;\n\n\tfor (v = 255; v >= 16; v--)\n\t\tif (apic_test_vector(v, apic->regs + APIC_ISR))\n\t\t\tvector = v;',
    mechanism: 'an EOI is for the lowest vector in service',
    grade: 'medium',
    needs: 'an EOI with two vectors in service',
  },
]);
