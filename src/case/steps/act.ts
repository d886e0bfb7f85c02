/** A parked vCPU does something as a receiver; what it began may go on in later steps. */
import { z } from 'zod';
import { note, vcpuPosition } from '../fields.ts';
import type { CaseIssue } from '../issue.ts';
import { hostStep, type StepContext, type StepKind } from './step-kind.ts';

/**
 * What an `act` step has a parked vCPU do as a receiver. `take`: go on from where it waits, or else open its interrupt
 * window. `enter`: open the window and stay in the first handler. `leave`: acknowledge in the innermost handler that it
 * stays in, and return from it. `set-tpr` and `eoi`: write that register. `wait`: stop at a point.
 */
export const actKinds = ['take', 'enter', 'leave', 'set-tpr', 'eoi', 'wait'] as const;
/** Ways to a register of the local APIC: HV_X64_MSR_TPR and HV_X64_MSR_EOI, the APIC's own register, CR8 (TPR alone). */
export const registerWays = ['hv-msr', 'apic', 'cr8'] as const;
/**
 * Points at which a vCPU can wait. `open`: interrupts on, `cli` is next. `sti-shadow` and `mov-ss-shadow`: interrupts on
 * and the next instruction, a `nop`, in an interrupt shadow, then `cli`. `hlt`: `sti; hlt` is next.
 */
export const waitPoints = ['open', 'sti-shadow', 'mov-ss-shadow', 'hlt'] as const;

const schema = z.strictObject({
  do: z.literal('act'),
  vcpu: vcpuPosition.default(0),
  act: z.enum(actKinds),
  /** Of `set-tpr` and `eoi`: the way to the register. */
  by: z.enum(registerWays).default('hv-msr'),
  /** Of `set-tpr`: class of the task priority, bits 7:4 of TPR. */
  tpr: z.number().int().min(0).max(15).default(0),
  /** Of `set-tpr` and `eoi`: whether interrupts are on meanwhile. */
  open: z.boolean().default(false),
  /** Of `wait`: where. */
  at: z.enum(waitPoints).default('open'),
  note,
});
export type ActStep = z.output<typeof schema>;

export const act = {
  ...hostStep,
  schema,
  plain: schema.parse({ do: 'act', act: 'take' }),
  actor: 'vcpu',
  needsLapic: true,
  allowsHalted: false,
  takesInterrupts: true,
  // To most points the host brings the vCPU, which runs from there later.
  enters: (step) => step.act !== 'wait' || step.at === 'open',
  check: checkAct,
  describe: describeAct,
} satisfies StepKind<ActStep>;

function* checkAct(step: ActStep, { machine, initialized, apics, at }: StepContext): Generator<CaseIssue> {
  const { vcpu, by } = step;
  const { idle } = machine.vcpus[vcpu]!;
  if (idle !== 'parked') yield at('vcpu', `vCPU ${vcpu} is ${idle} and does not act`);
  if (step.act === 'eoi' && by === 'cr8') yield at('by', 'CR8 is the task priority; there is no EOI by it');
  if (step.act === 'set-tpr' && by === 'cr8' && !step.open) {
    yield at('open', 'must be true with CR8: the lab does not survive it otherwise');
  }
  if (initialized.has(vcpu)) yield at('vcpu', `vCPU ${vcpu} got INIT and does not run any more`);
  if (apics[vcpu] === 'hardware-disabled') yield at('vcpu', `the APIC of vCPU ${vcpu} is hardware-disabled`);
  if (step.act === 'set-tpr' && by === 'cr8' && apics[vcpu] === 'software-disabled') {
    const why = 'whether KVM sees CR8 then depends on what was before';
    yield at('by', `the APIC of vCPU ${vcpu} is software-disabled: ${why}`);
  }
}

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
export function describeAct({ vcpu, act: kind, by, tpr, open, at }: Omit<ActStep, 'do' | 'note'>): string {
  const way = `by ${registersOf[by]}${open ? ', with interrupts on' : ''}`;
  switch (kind) {
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
