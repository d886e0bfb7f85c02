/** Changes of what KVM offers before a guest runs: one of each kind that is compared. */
import { editor, type ReviewSample } from '../sample.ts';

const hyperv = editor('arch/x86/kvm/hyperv.c');
const x86 = editor('arch/x86/kvm/x86.c');
const area = 'offer';

export const offerSamples: readonly ReviewSample[] = [
  {
    name: 'directed-eoi',
    area,
    origin: 'series of 2026 on EOI broadcasts, in part',
    subject: 'Never advertise that EOI broadcasts can be suppressed',
    answer: 'changed',
    truth: 'the LAPIC of a split irqchip has another version',
    says: /offers .*version/i,
    edits: [
      {
        file: 'arch/x86/kvm/lapic.c',
        find: '\t\tv |= APIC_LVR_DIRECTED_EOI;\n',
        replace: '\t\tv |= 0;\n',
      },
    ],
  },
  {
    name: 'auto-eoi-advice',
    area,
    origin: 'made for this',
    subject: 'Do not advise against auto-EOI',
    answer: 'changed',
    truth: 'a bit of leaf 0x40000004 is gone',
    says: /offers .*0x40000004/,
    edits: [hyperv('\t\t\tent->eax |= HV_DEPRECATING_AEOI_RECOMMENDED;\n', '')],
  },
  {
    name: 'send-ipi-capability',
    area,
    origin: 'made for this',
    subject: 'Do not say that IPI hypercalls are there',
    answer: 'changed',
    truth: 'KVM_CAP_HYPERV_SEND_IPI is gone',
    says: /offers .*KVM_CAP_HYPERV_SEND_IPI/,
    edits: [x86('\tcase KVM_CAP_HYPERV_SEND_IPI:\n', '')],
  },
  {
    name: 'vcpu-limit',
    area,
    origin: 'made for this',
    subject: 'Half as many vCPUs',
    answer: 'changed',
    truth: 'KVM_CAP_MAX_VCPUS says half as many',
    says: /offers .*KVM_CAP_MAX_VCPUS/,
    edits: [x86('\t\tr = KVM_MAX_VCPUS;\n', '\t\tr = KVM_MAX_VCPUS / 2;\n')],
  },
];
