/** The machine of a case as a table of C. */
import type { Case, VcpuSetup } from '../../case/case.ts';
import { hex } from './text.ts';

const apicNames = {
  x2apic: 'X2APIC',
  xapic: 'XAPIC',
  'software-disabled': 'SOFTWARE_DISABLED',
  'hardware-disabled': 'HARDWARE_DISABLED',
} as const;
const mpStates: Readonly<Partial<Record<VcpuSetup['idle'], string>>> = {
  uninitialized: 'KVM_MP_STATE_UNINITIALIZED',
  'init-received': 'KVM_MP_STATE_INIT_RECEIVED',
};
const lacksNames = {
  hyperv: 'NO_HYPERV',
  'cluster-ipi': 'NO_CLUSTER_IPI',
  'ex-masks': 'NO_EX_MASKS',
  'xmm-input': 'NO_XMM_INPUT',
} as const;

/** @param vpIndexes what KVM makes of those that the host writes. */
export function machineText({ machine: { vcpus, guestOsId } }: Case, vpIndexes: readonly number[]): string {
  const rows = vcpus.map((vcpu, position) => `\t{ ${fieldsOf(vcpu, position, vpIndexes[position]!).join(', ')} },\n`);
  // A vCPU gets its Hyper-V context by this write: one that is to have none is left alone.
  const owner = vcpus.findIndex(({ lacks }) => !lacks.includes('hyperv'));
  const osId =
    guestOsId === 0n ? '' : `#define GUEST_OS_ID ${hex(guestOsId)}\n#define OS_ID_VCPU ${Math.max(0, owner)}\n`;
  return `#define NR_VCPUS ${vcpus.length}\n${osId}\nstatic const struct vcpu_setup setup[NR_VCPUS] = {\n${rows.join('')}};`;
}

/** The C name of a local APIC's state. */
export function apicName(apic: VcpuSetup['apic']): string {
  return apicNames[apic];
}

function fieldsOf(vcpu: VcpuSetup, position: number, vpIndexRead: number): string[] {
  const { vpIndex, apic, eoi, vcpuId, idle, lacks, enforced, tpr, irr, isr } = vcpu;
  // Without Hyper-V there is no HV_X64_MSR_EOI.
  const eoiName = eoi === 'hv-msr' && !lacks.includes('hyperv') ? 'EOI_BY_HV_MSR' : 'EOI_BY_APIC';
  const missing = lacks.map((name) => lacksNames[name]).join(' | ');
  const mpState = mpStates[idle];
  return [
    `.vp_index = ${vpIndex}u`,
    `.vp_index_read = ${vpIndexRead}u`,
    `.apic = ${apicNames[apic]}`,
    `.eoi = ${eoiName}`,
    `.id = ${vcpuId ?? position}`,
    ...(mpState === undefined ? [] : [`.mp_state = ${mpState}`]),
    ...(missing === '' ? [] : [`.lacks = ${missing}`]),
    ...(enforced ? ['.is_enforced = 1'] : []),
    ...(tpr === 0 ? [] : [`.tpr = ${hex(tpr << 4)}`]),
    ...(irr.length === 0 ? [] : [`.irr = ${vectorsField(irr)}`]),
    ...(isr.length === 0 ? [] : [`.isr = ${vectorsField(isr)}`]),
  ];
}

function vectorsField(vectors: readonly number[]): string {
  return `{ ${vectors.length}, { ${vectors.map((vector) => hex(vector)).join(', ')} } }`;
}
