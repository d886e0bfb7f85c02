/** Steps that are no calls, as statements of C, as far as C programs show them; those that are not here are refused. */
import { HV_X64_MSR_HYPERCALL_ENABLE } from '../../abi/hyperv.ts';
import type { Case } from '../../case/case.ts';
import { actorOf, type ChangeStep, kindOf, type StepOf } from '../../case/steps/kinds.ts';
import type { StepOutcome } from '../../../oracle/outcome.ts';
import { address } from './address.ts';
import { apicName } from './machine.ts';
import { hex } from './text.ts';

interface Surroundings {
  readonly value: Case;
  readonly outcome: StepOutcome;
  readonly index: number;
}

interface ShownStep<S> {
  /** Fields that are shown, besides `do` and `note`. */
  readonly fields: readonly (keyof S)[];
  readonly lines: (step: S, surroundings: Surroundings) => string;
}

const msrNames: Partial<Record<StepOf<'write-msr'>['msr'], string>> = {
  'guest-os-id': 'HV_X64_MSR_GUEST_OS_ID',
  hypercall: 'HV_X64_MSR_HYPERCALL',
  'vp-index': 'HV_X64_MSR_VP_INDEX',
};
/** KVM's page begins with an instruction of so many bytes more where Xen hypercalls are intercepted. */
const plainPageBytes = 4;

const shownSteps: { readonly [Kind in ChangeStep['do']]?: ShownStep<StepOf<Kind>> } = {
  run: { fields: [], lines: (_step, surroundings) => runLines(surroundings) },
  'write-msr': {
    fields: ['vcpu', 'msr', 'value'],
    lines({ vcpu, msr, value }, { outcome: { result, writes } }) {
      const text = msr === 'hypercall' ? hypercallMsrText(value) : hex(value);
      const pages = writes.map(
        ({ gpa, bytes }) => `\texpect_page(${address(gpa)}, ${bytes.length > plainPageBytes ? 1 : 0});\n`,
      );
      return `\texpect_msr_write(${vcpu}, ${msrNames[msr]!}, ${text}, ${result!});\n${pages.join('')}`;
    },
  },
  'set-apic': {
    fields: ['vcpu', 'apic'],
    lines({ vcpu, apic }, { value }) {
      const enabled = value.machine.vcpus[vcpu]!.apic === 'x2apic' ? 'x2apic' : 'xapic';
      return `\tchange_apic(${vcpu}, ${apicName(apic === 'enabled' ? enabled : apic)});\n`;
    },
  },
  init: { fields: ['vcpu'], lines: ({ vcpu }) => `\tsend_init(${vcpu});\n` },
};

/** Fields of a kind of steps that C programs show; null where they do not show the kind. */
export function shownFields(kind: ChangeStep['do']): readonly string[] | null {
  const shown = shownSteps[kind];
  return shown === undefined ? null : ['do', 'note', ...shown.fields];
}

/** The statements of a step that `checkExportable` lets through. */
export function changeLines(step: ChangeStep, surroundings: Surroundings): string {
  return (shownSteps[step.do] as ShownStep<ChangeStep>).lines(step, surroundings);
}

export function vectorsText(vectors: readonly number[]): string {
  if (vectors.length === 0) return 'NOTHING';
  return vectors.length === 256 ? 'EVERYTHING' : `VECTORS(${vectors.map((vector) => hex(vector)).join(', ')})`;
}

/** By the page's place; its low bits stay a number. */
function hypercallMsrText(value: bigint): string {
  const low = value & 0xfffn;
  if ((value & HV_X64_MSR_HYPERCALL_ENABLE) === 0n) return hex(value);
  return `(${address(value - low)}) | ${hex(low)}`;
}

/** vCPUs that wait for INIT or SIPI, also because they got INIT before, would not come back. */
function runLines({ value: { machine, steps }, outcome: { arrivals }, index }: Surroundings): string {
  const stopped = steps.slice(0, index).filter((step) => kindOf(step).stops);
  const gone = new Set(stopped.map(actorOf));
  return machine.vcpus
    .map(({ idle }, vcpu) =>
      idle === 'parked' && !gone.has(vcpu) ? `\texpect_handlers(${vcpu}, ${vectorsText(arrivals[vcpu]!)});\n` : '',
    )
    .join('');
}
