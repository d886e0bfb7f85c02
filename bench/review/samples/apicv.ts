/** Changes of APICv, with what is true of them on the emulated CPU of Intel's, where posted interrupts are used. */
import { editor, type ReviewSample } from '../sample.ts';

const lapic = editor('arch/x86/kvm/lapic.c');

export const apicvSamples: readonly ReviewSample[] = [
  {
    name: 'svi-when-activated-intel',
    area: 'APICv',
    cpu: 'intel',
    origin: 'SVI update of 2025-12 taken back',
    subject: 'Revert "update SVI when APICv is activated"',
    answer: 'changed',
    truth: 'EOI of what was in service before ends another vector, or none',
    edits: [
      lapic(
        '\t\tkvm_x86_call(hwapic_isr_update)(vcpu, apic_find_highest_isr(apic));\n\t} else {\n\t\tapic->isr_count = count',
        '\t} else {\n\t\tapic->isr_count = count',
      ),
    ],
  },
  {
    name: 'posted-interrupts-intel',
    area: 'APICv',
    cpu: 'intel',
    origin: 'READ_ONCE of 2025-06 taken back',
    subject: 'Revert "read IRR once when posted interrupts are harvested"',
    answer: 'unchanged',
    truth: 'the compiler reads it once either way',
    edits: [lapic('irr_val = READ_ONCE(*p_irr);', 'irr_val = *p_irr;')],
  },
  {
    name: 'pending-when-updated-intel',
    area: 'APICv',
    cpu: 'intel',
    origin: '755c2bf87860 (2022-02) taken back',
    subject: 'Revert "unconditionally set irr_pending when updating APICv state"',
    answer: 'unchanged',
    truth: 'it was for what is still posted while APICv goes off, and here nobody posts then',
    edits: [
      lapic(
        '\t *        can safely search the IRR and set irr_pending accordingly.\n\t */\n\tapic->irr_pending = true;\n',
        '\t *        can safely search the IRR and set irr_pending accordingly.\n\t */\n\tapic->irr_pending = apic->apicv_active || apic_search_irr(apic) != -1;\n',
      ),
    ],
  },
];
