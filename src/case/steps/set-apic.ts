/** The host enables or disables a vCPU's local APIC; what is pending stays. */
import { z } from 'zod';
import { note, vcpuPosition } from '../fields.ts';
import { apicChanges } from '../limits.ts';
import { hostStep, type StepContext, type StepKind } from './step-kind.ts';

const schema = z.strictObject({
  do: z.literal('set-apic'),
  vcpu: vcpuPosition.default(0),
  apic: z.enum(apicChanges),
  note,
});
type SetApicStep = z.output<typeof schema>;

export const setApic = {
  ...hostStep,
  schema,
  plain: schema.parse({ do: 'set-apic', apic: 'enabled' }),
  actor: 'vcpu',
  needsLapic: true,
  allowsHalted: false,
  check({ vcpu, apic }: SetApicStep, { apics }: StepContext) {
    apics[vcpu] = apic;
    return [];
  },
  describe: ({ vcpu, apic }) => `the host makes the APIC of vCPU ${vcpu} ${apic}`,
} satisfies StepKind<SetApicStep>;
