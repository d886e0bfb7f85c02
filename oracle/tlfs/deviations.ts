/**
 * Where KVM is known to leave TLFS. Each entry cites both sides and says how to recognise it. `fuzz --contract tlfs`
 * does not stop at these; a deviation that no entry explains is new. An entry needs a certain statement of TLFS.
 * Unclear points stand below the list, and both behaviours are permitted there. Each deviation has a minimal case,
 * `corpus/known/<name>.json`; `docs/deviations.md` is written from this list.
 */
import { HVCALL_SEND_IPI, HVCALL_SEND_IPI_EX } from '../../src/abi/hypercall.ts';
import { isHyperv } from '../call/caller.ts';
import type { JudgedCall, Violation } from './tlfs.ts';
import { hasOnlyNestedBit } from './tlfs-rules.ts';

export interface Deviation {
  /** Number in the project's list of deviations; numbers that are not here cannot be reached by a case. */
  readonly id: string;
  readonly name: string;
  /** Input that shows it. */
  readonly input: string;
  /** What TLFS says and the rule of `tlfsRules` or `deliveryRules` that cites it. */
  readonly tlfs: { readonly says: string; readonly rule: string };
  readonly kvm: { readonly does: string; readonly source: string };
  /** Kernel release that brought it, with the commit where that is known; null where nobody has looked. */
  readonly since: string | null;
  /** The KVM_MAX_VCPUS that it takes, or null where every KVM does it. */
  readonly kvmMaxVcpus: number | null;
  explains(violation: Violation, judged: JudgedCall): boolean;
}

/** The release that brought the calls; that it behaved so from the start is from memory, 6.1 and 6.12 were run. */
const sendIpi = '4.20, which brought the calls (214ff83d4473; not read again)';
/** Success although a rule says that the call must fail. */
const accepts = ({ kind, rule }: Violation, name: string): boolean => kind === 'accepted' && rule === name;
/** An error by that rule of KVM, where TLFS has another one or none. */
const isErrorBy = ({ kind }: Violation, { done }: JudgedCall, ...rules: readonly string[]): boolean =>
  (kind === 'status' || kind === 'refused') && rules.includes(done.rule);

const fieldDeviations: readonly Deviation[] = [
  {
    id: 'D01',
    name: 'bad-vector-status',
    input: 'either call in any form with a vector below 0x10 or above 0xff',
    tlfs: { says: 'status 5, invalid parameter', rule: 'vector-out-of-range' },
    kvm: { does: 'status 3, invalid hypercall input', source: 'kvm_hv_send_ipi, HV_IPI_LOW_VECTOR' },
    since: sendIpi,
    kvmMaxVcpus: null,
    explains: (violation, judged) => isErrorBy(violation, judged, 'bad-vector'),
  },
  {
    id: 'D02',
    name: 'slow-0b-reserved-unchecked',
    input: '0x000b slow with bits 7:5 of TargetVtl set',
    tlfs: { says: 'status 5: the bits must be zero', rule: 'target-vtl-reserved' },
    kvm: { does: 'ignores bytes 4 to 7 and delivers', source: 'kvm_hv_send_ipi, struct hv_send_ipi' },
    since: sendIpi,
    kvmMaxVcpus: null,
    explains: (violation, { call }) =>
      accepts(violation, 'target-vtl-reserved') && call.code === HVCALL_SEND_IPI && !call.isFast,
  },
  {
    id: 'D03',
    name: 'fast-0b-vtl-rejected',
    input: '0x000b fast with any of RDX[63:32] set, for example UseTargetVtl with VTL 0',
    tlfs: {
      says: 'VTL 0 is a legal target, padding is ignored or reserved (status 5), bits 7:5 of TargetVtl are status 5',
      rule: 'target-vtl-reserved',
    },
    kvm: { does: 'status 3 for all of them', source: 'kvm_hv_send_ipi, hc->ingpa >> 32' },
    since: sendIpi,
    kvmMaxVcpus: null,
    explains: (violation, judged) => isErrorBy(violation, judged, 'fast-reserved-bits'),
  },
  {
    id: 'D04',
    name: 'ex-slow-reserved-unchecked',
    input: '0x0015 slow with bits 7:5 of TargetVtl set',
    tlfs: { says: 'status 5: the bits must be zero', rule: 'target-vtl-reserved' },
    kvm: { does: 'ignores bytes 4 to 7 and delivers', source: 'kvm_hv_send_ipi, struct hv_send_ipi_ex' },
    since: sendIpi,
    kvmMaxVcpus: null,
    explains: (violation, { call }) =>
      accepts(violation, 'target-vtl-reserved') && call.code === HVCALL_SEND_IPI_EX && !call.isFast,
  },
  {
    id: 'D05',
    name: 'ex-fast-reserved-unchecked',
    input: '0x0015 fast with bits 7:5 of TargetVtl set in RDX[39:37]',
    tlfs: { says: 'status 5: the bits must be zero', rule: 'target-vtl-reserved' },
    kvm: { does: 'ignores RDX[63:32] and delivers', source: 'kvm_hv_send_ipi, (u32)hc->ingpa' },
    since: '5.18 (47d3e5cdfe60)',
    kvmMaxVcpus: null,
    explains: (violation, { call }) =>
      accepts(violation, 'target-vtl-reserved') && call.code === HVCALL_SEND_IPI_EX && call.isFast,
  },
  {
    id: 'D06',
    name: 'unknown-format-is-sparse',
    input: '0x0015 with a format that is neither 0 nor 1',
    tlfs: { says: 'an error; which one is not said', rule: 'unknown-format' },
    kvm: { does: 'reads the set as a sparse one', source: 'kvm_hv_send_ipi, all_cpus = format == HV_GENERIC_SET_ALL' },
    since: sendIpi,
    kvmMaxVcpus: null,
    explains: (violation) => accepts(violation, 'unknown-format'),
  },
  {
    id: 'D07',
    name: 'empty-sparse-skips-vector',
    input: '0x0015, sparse, without banks, with a vector below 0x10 or above 0xff',
    tlfs: { says: 'status 5, invalid parameter', rule: 'vector-out-of-range' },
    kvm: { does: 'status 0; the vector is not looked at', source: 'kvm_hv_send_ipi, !hc->var_cnt' },
    since: null,
    kvmMaxVcpus: null,
    explains: (violation, { done }) => accepts(violation, 'vector-out-of-range') && done.rule === 'empty-sparse-set',
  },
];

const addressDeviations: readonly Deviation[] = [
  {
    id: 'D10',
    name: 'gpa-misaligned-accepted',
    input: 'either call slow, input address not a multiple of 8',
    tlfs: { says: 'status 4, invalid alignment', rule: 'gpa-misaligned' },
    kvm: { does: 'reads the input there', source: 'kvm_hv_send_ipi, kvm_read_guest' },
    since: sendIpi,
    kvmMaxVcpus: null,
    explains: (violation) => accepts(violation, 'gpa-misaligned'),
  },
  {
    id: 'D11',
    name: 'gpa-page-cross-accepted',
    input: 'either call slow, input across the end of a page, both pages RAM',
    tlfs: { says: 'status 4, invalid alignment', rule: 'gpa-page-cross' },
    kvm: { does: 'reads the input across the pages', source: 'kvm_hv_send_ipi, kvm_read_guest' },
    since: sendIpi,
    kvmMaxVcpus: null,
    explains: (violation, { call }) =>
      accepts(violation, 'gpa-page-cross') && call.headIsReadable && call.banksAreReadable,
  },
  {
    id: 'D12',
    name: 'gpa-unreadable-status',
    input: 'either call slow, input address at or above 2^52',
    tlfs: { says: 'status 4, invalid alignment: outside of the GPA space', rule: 'gpa-outside-space' },
    kvm: { does: 'status 3, as for any input it cannot read', source: 'kvm_hv_send_ipi, kvm_read_guest fails' },
    since: sendIpi,
    kvmMaxVcpus: null,
    explains: (violation, judged) => isErrorBy(violation, judged, 'input-unreadable', 'banks-unreadable'),
  },
  {
    id: 'D22',
    name: 'bank-read-capped',
    input: '0x0015 slow with more banks than KVM can have VPs for, the last ones not in RAM',
    tlfs: { says: 'status 4 or a memory intercept: all of the input is validated', rule: 'gpa-page-cross' },
    kvm: { does: 'does not read the last banks, and delivers', source: 'kvm_get_sparse_vp_set, 79661c3766f8' },
    since: '5.17 (79661c3766f8); not where KVM_MAX_VCPUS is 4096',
    kvmMaxVcpus: 1024,
    explains: (violation, { call, contract }) =>
      accepts(violation, 'gpa-page-cross') && !call.banksAreReadable && call.variableHeader > contract.bankReadMax,
  },
];

const otherDeviations: readonly Deviation[] = [
  {
    id: 'D13',
    name: 'nested-bit-rejected',
    input: 'either call with bit 31 of the input value set, Is Nested',
    tlfs: { says: 'the call is for the L0 hypervisor, which KVM is here', rule: 'reserved-control-bits' },
    kvm: { does: 'status 3: the bit counts as reserved', source: 'kvm_hv_hypercall, HV_HYPERCALL_RSVD_MASK' },
    since: null,
    kvmMaxVcpus: null,
    explains: (violation, judged) =>
      isErrorBy(violation, judged, 'reserved-control-bits') && hasOnlyNestedBit(judged.call),
  },
  {
    id: 'D14',
    name: 'xmm-input-not-needed',
    input: '0x0015 fast by a vCPU whose CPUID has no XMM input (0x40000003 EDX bit 4), CPUID not enforced',
    tlfs: { says: '#UD', rule: 'xmm-input-unavailable' },
    kvm: {
      does: 'reads the XMM registers; #UD only with KVM_CAP_HYPERV_ENFORCE_CPUID',
      source: 'kvm_hv_hypercall, enforce_cpuid && !HV_X64_HYPERCALL_XMM_INPUT_AVAILABLE',
    },
    since: '5.18 (47d3e5cdfe60)',
    kvmMaxVcpus: null,
    explains: ({ kind, rule }, { call }) =>
      rule === 'xmm-input-unavailable' && (kind === 'accepted' || kind === 'status') && !call.caller.isEnforced,
  },
  {
    id: 'D17',
    name: 'native-abi-in-illegal-environment',
    input: 'any call at CPL above 0 or in real mode while GUEST_OS_ID is 0, or without Hyper-V in CPUID',
    tlfs: { says: '#UD', rule: 'illegal-environment' },
    kvm: {
      does: 'takes it for a hypercall of its own and puts an error, or 0, into RAX',
      source: 'kvm_emulate_hypercall, kvm_hv_hypercall_enabled',
    },
    since: null,
    kvmMaxVcpus: null,
    explains: ({ rule }, { call }) => rule === 'illegal-environment' && !isHyperv(call.caller),
  },
  {
    id: 'D18',
    name: 'page-code-stays',
    input: 'a call through a hypercall page that was disabled or moved away',
    tlfs: { says: "the overlay is gone, the guest's own memory shows again", rule: 'page-not-enabled' },
    kvm: {
      does: 'has written its code into guest memory, where it stays and works',
      source: 'kvm_hv_set_msr_pw, kvm_vcpu_write_guest',
    },
    since: null,
    kvmMaxVcpus: null,
    explains: ({ rule }) => rule === 'page-not-enabled',
  },
  {
    id: 'D19',
    name: 'duplicate-vp-index',
    input: 'either call to a VP index that the host gave to two vCPUs',
    tlfs: { says: 'a VP index names one VP', rule: 'vp-index-unique' },
    kvm: { does: 'takes the index twice and delivers to both', source: 'kvm_hv_set_msr; kvm_hv_send_ipi_to_many' },
    since: null,
    kvmMaxVcpus: null,
    explains: ({ kind, rule }) => kind === 'extra' && rule === 'vp-index-unique',
  },
];

/** All that are known and that a case can reach, by number. */
export const deviations: readonly Deviation[] = [...fieldDeviations, ...addressDeviations, ...otherDeviations].sort(
  (left, right) => left.id.localeCompare(right.id),
);

/** A point in which TLFS is unclear or silent: whatever KVM does is permitted. `rule` is the rule that says so. */
export interface OpenPoint {
  readonly id: string;
  readonly name: string;
  readonly rule: string;
  readonly kvm: string;
}

export const openPoints: readonly OpenPoint[] = [
  { id: 'D02, D04, D05', name: 'padding-ignored', rule: 'padding-not-zero', kvm: 'ignored, but for 0x000b fast' },
  { id: 'D08', name: 'all-needs-popcount', rule: 'bank-count-mismatch', kvm: 'status 3, for a set of all VPs too' },
  { id: 'D09', name: 'all-banks-unread', rule: 'gpa-page-cross-by-unused-banks', kvm: 'reads no banks, delivers' },
  { id: 'D12', name: 'gpa-in-hole', rule: 'gpa-unmapped', kvm: 'status 3 instead of a memory intercept' },
  { id: 'D15', name: 'privilege-opt-in', rule: 'not-recommended', kvm: 'works; status 6 only where CPUID is enforced' },
  { id: 'D16', name: 'page-not-required', rule: 'not-through-page', kvm: 'a bare instruction works' },
  { id: 'D18', name: 'input-in-hypercall-page', rule: 'input-in-overlay-page', kvm: 'reads what it wrote there' },
  { id: 'D24', name: 'no-lapic-status', rule: 'no-lapic', kvm: 'status 3' },
  { id: 'D27', name: 'wrong-opcode', rule: 'interface-not-established', kvm: 'rewrites the instruction and goes on' },
  { id: 'D20', name: 'absent-vp-ignored', rule: 'absent-vp', kvm: 'status 0, absent VPs are ignored' },
  { id: 'D21', name: 'disabled-apic-success', rule: 'named-vps-receive', kvm: 'status 0, the interrupt is lost' },
  { id: '', name: 'higher-vtl-ignored', rule: 'target-vtl-higher', kvm: 'ignored, but for 0x000b fast: status 3' },
  { id: '', name: 'fast-banks-status', rule: 'fast-block-too-large', kvm: 'status 3; all VPs: delivers' },
];

/** The deviations that explain a call, by number, and the violations that none explains. */
export function explainViolations(judged: JudgedCall): {
  readonly known: readonly Deviation[];
  readonly unlisted: readonly Violation[];
} {
  const known = new Set<Deviation>();
  const unlisted: Violation[] = [];
  for (const violation of judged.violations) {
    const deviation = deviations.find((one) => one.explains(violation, judged));
    if (deviation === undefined) unlisted.push(violation);
    else known.add(deviation);
  }
  return { known: deviations.filter((deviation) => known.has(deviation)), unlisted };
}
