/** What an `act` step does, in words. */
import type { ActStep } from './schema.ts';
import type { registerWays, waitPoints } from './limits.ts';

const registersOf: Readonly<Record<(typeof registerWays)[number], string>> = {
  'hv-msr': 'the Hyper-V MSR',
  apic: "the APIC's register",
  cr8: 'CR8',
};

const points: Readonly<Record<(typeof waitPoints)[number], string>> = {
  open: 'with interrupts on',
  'sti-shadow': 'in the shadow of sti',
  'mov-ss-shadow': 'in the shadow of mov ss',
  hlt: 'before sti; hlt',
};

/** `vCPU 1 opens its interrupt window`. */
export function describeAct({ vcpu, act, by, tpr, open, at }: Omit<ActStep, 'do' | 'note'>): string {
  const way = `by ${registersOf[by]}${open ? ', with interrupts on' : ''}`;
  switch (act) {
    case 'take':
      return `vCPU ${vcpu} goes on, with its interrupt window open`;
    case 'enter':
      return `vCPU ${vcpu} opens its interrupt window and stays in the first handler`;
    case 'leave':
      return `vCPU ${vcpu} acknowledges in the handler that it stays in, and leaves it`;
    case 'set-tpr':
      return `vCPU ${vcpu} sets TPR to 0x${(tpr << 4).toString(16)} ${way}`;
    case 'eoi':
      return `vCPU ${vcpu} writes EOI ${way}`;
    case 'wait':
      return `vCPU ${vcpu} waits ${points[at]}`;
  }
}
