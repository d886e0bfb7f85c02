/**
 * The VMM does what a guest is not to notice. Nothing may change by it: what later steps do must be the same.
 *
 * `complete`: KVM_RUN of each vCPU with immediate_exit (Documentation/virt/kvm/api.rst, KVM_RUN). `interrupt`: KVM_RUN of each
 * vCPU that can run, with a signal pending, so that KVM sets out for the guest and turns back (vcpu_enter_guest,
 * cancel_injection); in a concurrent case those that run come out of KVM_RUN and go back. `log-dirty`: dirty logging begins
 * (KVM_MEM_LOG_DIRTY_PAGES), and with the next one ends. `move`: each memslot goes elsewhere and comes back. `remake`: each
 * is deleted and made anew.
 */
import { z } from 'zod';
import { note } from '../fields.ts';
import type { CaseIssue } from '../issue.ts';
import { hostStep, type StepContext, type StepKind } from './step-kind.ts';

export const vmmDeeds = ['complete', 'interrupt', 'log-dirty', 'move', 'remake'] as const;

const schema = z.strictObject({ do: z.literal('vmm'), does: z.enum(vmmDeeds).default('complete'), note });
type VmmStep = z.output<typeof schema>;

const sentences: Readonly<Record<VmmStep['does'], string>> = {
  complete: 'the VMM has KVM complete the last exit of each vCPU, and no more',
  interrupt: 'the VMM runs each vCPU with a signal pending',
  'log-dirty': 'the VMM turns dirty logging on, or off again',
  move: 'the VMM moves the memslots away and back',
  remake: 'the VMM deletes the memslots and makes them anew',
};

export const vmm = {
  ...hostStep,
  schema,
  plain: schema.parse({ do: 'vmm' }),
  mark: { name: 'vmm', none: 'nothing', values: ['nothing', ...vmmDeeds], of: ({ does }) => does },
  concurrent: { needsOrder: false, check: checkConcurrent },
  describe: ({ does }) => sentences[does],
} satisfies StepKind<VmmStep>;

/** Others wait for KVM_RUN to end, or take memory away from who runs in it. */
function* checkConcurrent({ does }: VmmStep, { at }: StepContext): Generator<CaseIssue> {
  if (does !== 'interrupt' && does !== 'log-dirty')
    yield at('does', 'in a concurrent case only interrupt and log-dirty');
}
