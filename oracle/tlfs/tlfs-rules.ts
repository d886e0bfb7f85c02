/**
 * What TLFS says of a call, as a table. TLFS leaves open in which order errors are detected ("Ordering of Error
 * Conditions"), so this is no ordered list: every rule that applies adds the statuses that it permits.
 *
 * WEB is TLFS as Microsoft publishes it now, PDF6 is version 6.0b; where they contradict each other (layout of the
 * hypercall input value), WEB speaks. Where neither says enough the rule is a guess or leaves things unspecified, and
 * then success is permitted as well: only what TLFS says for certain can make a deviation.
 */
import {
  controlWord,
  HV_GENERIC_SET_ALL,
  HV_GENERIC_SET_SPARSE_4K,
  HV_IPI_HIGH_VECTOR,
  HV_IPI_LOW_VECTOR,
  hvStatus,
  sendIpiExInput,
  sendIpiInput,
} from '../../src/abi/hypercall.ts';
import { fieldOf } from '../../src/abi/layout.ts';
import { isHyperv } from '../call/caller.ts';
import { type Call, isIpi, isIpiEx, xmmBankCount } from '../call/decode.ts';
import { isExtended } from '../call/rules.ts';
import { toBigInt } from '../words.ts';

export interface TlfsRule {
  /** Part of signatures and of `oracle/tlfs/deviations.ts`. */
  readonly name: string;
  /** WEB page and section, or PDF6 page. */
  readonly source: string;
  /**
   * `certain`: a call to which the rule applies must fail. `guess`: it may, TLFS is unclear. `unspecified`: TLFS leaves
   * open what happens.
   */
  readonly certainty: 'certain' | 'guess' | 'unspecified';
  /** Statuses that the rule permits; null is any but success, where TLFS names none. */
  readonly statuses: readonly number[] | null;
  /** Whether #UD is permitted. */
  readonly fault?: true;
  /** Whether nothing else counts when the rule applies, because the call is no hypercall of TLFS then. */
  readonly alone?: true;
  applies(call: Call, setting: TlfsSetting): boolean;
}

/** What a rule may know besides the call. */
export interface TlfsSetting {
  /** Whether the call names a VP index that no vCPU has. */
  readonly namesAbsentVp: boolean;
  /** Address of the hypercall page, null while it is not enabled. */
  readonly page: bigint | null;
}

const isNestedBit = 2 ** (fieldOf(controlWord, 'isNested').shift % 32);
const pageBytes = 0x1000n;
/** No x86 processor has more than 52 bits of physical address (SDM volume 3, 4.1.4): the GPA space ends here at the latest. */
const gpaSpaceEnd = 1n << 52n;
/** HV_INPUT_VTL in the low byte behind the vector; the three bytes above are padding. */
const vtlReserved = 0xe0;
const useTargetVtl = 0x10;
const targetVtl = 0x0f;
const paddingMask = 0xffff_ff00;

const isKnown = (call: Call): boolean => isIpi(call) || isIpiEx(call);
const isSlow = (call: Call): boolean => isKnown(call) && !call.isFast;
/** Fields of the input say something only where the input could be read. */
const isRead = (call: Call): boolean => isKnown(call) && call.headIsReadable;
const isReadEx = (call: Call): boolean => isIpiEx(call) && call.headIsReadable;

/** Whether the call names every VP (HV_VP_SET, format 1). */
export const isAllVps = (call: Call): boolean => isReadEx(call) && toBigInt(call.format) === HV_GENERIC_SET_ALL;

/** Whether KVM's reserved bits of the call are Is Nested and nothing else. */
export const hasOnlyNestedBit = ({ reserved }: Call): boolean => reserved.low === isNestedBit && reserved.high === 0;

const headBytes = (call: Call): number => (isIpiEx(call) ? sendIpiExInput : sendIpiInput).bits / 8;
const blockBytes = (call: Call): number => headBytes(call) + (isIpiEx(call) ? 8 * call.variableHeader : 0);
const crosses = (gpa: bigint, length: number): boolean => (gpa % pageBytes) + BigInt(length) > pageBytes;
const overlaps = (call: Call, page: bigint): boolean =>
  call.gpa < page + pageBytes && call.gpa + BigInt(blockBytes(call)) > page;
const isUnread = (call: Call): boolean => !call.headIsReadable || (isIpiEx(call) && !call.banksAreReadable);

const { HV_STATUS_INVALID_HYPERCALL_CODE: invalidCode, HV_STATUS_INVALID_HYPERCALL_INPUT: invalidInput } = hvStatus;
const { HV_STATUS_INVALID_ALIGNMENT: invalidAlignment, HV_STATUS_INVALID_PARAMETER: invalidParameter } = hvStatus;

const environmentRules: readonly TlfsRule[] = [
  {
    name: 'illegal-environment',
    source: 'WEB hypercall-interface, "Legal Hypercall Environments": #UD outside of protected mode and above CPL 0',
    certainty: 'certain',
    statuses: [],
    fault: true,
    alone: true,
    applies: ({ caller }) => caller.cpl !== 0 || !caller.isProtected,
  },
  {
    name: 'page-not-enabled',
    source:
      'WEB hypercall-interface, "Establishing the Hypercall Interface", and overlay pages: a page that is not enabled shows the guest its own memory',
    certainty: 'certain',
    statuses: [],
    fault: true,
    alone: true,
    applies: ({ caller }, { page }) => isHyperv(caller) && caller.page !== null && caller.page !== page,
  },
  {
    name: 'interface-not-established',
    source:
      'WEB hypercall-interface, "Establishing the Hypercall Interface": no hypercalls while GUEST_OS_ID is 0; without Hyper-V in CPUID, with Xen calls intercepted or by the other vendor\'s instruction TLFS says nothing',
    certainty: 'unspecified',
    statuses: null,
    fault: true,
    alone: true,
    applies: ({ caller }) => !isHyperv(caller) || caller.isXen || caller.isOtherOpcode,
  },
  {
    name: 'extended-call',
    source: 'WEB HvExtCallQueryCapabilities: another hypercall',
    certainty: 'unspecified',
    statuses: null,
    alone: true,
    applies: isExtended,
  },
  {
    name: 'not-through-page',
    source: 'WEB hypercall-interface, "Legal Hypercall Environments": a call from outside of the page may raise #UD',
    certainty: 'guess',
    statuses: [],
    fault: true,
    applies: ({ caller }) => caller.page === null,
  },
  {
    name: 'xmm-input-unavailable',
    source: 'WEB hypercall-interface, "XMM Fast Hypercall Input": #UD where CPUID does not offer it',
    certainty: 'certain',
    statuses: [],
    fault: true,
    applies: (call) => isIpiEx(call) && call.isFast && call.caller.lacks.includes('xmm-input'),
  },
  {
    name: 'not-recommended',
    source: 'PDF6 lists no privilege for the calls; WEB prefers access denied where a call is not permitted',
    certainty: 'guess',
    statuses: [hvStatus.HV_STATUS_ACCESS_DENIED],
    applies: ({ caller }) => caller.lacks.includes('cluster-ipi') || caller.lacks.includes('ex-masks'),
  },
  {
    name: 'no-lapic',
    source: "WEB knows no partition whose local APICs are not the hypervisor's",
    certainty: 'unspecified',
    statuses: null,
    applies: ({ caller }) => !caller.hasLapic,
  },
  {
    name: 'input-in-overlay-page',
    source:
      'WEB hypercall-interface, "Alignment Requirements": input in an overlay page, access by the hypervisor is undefined',
    certainty: 'unspecified',
    statuses: null,
    applies: (call, { page }) => isSlow(call) && page !== null && overlaps(call, page),
  },
];

const controlRules: readonly TlfsRule[] = [
  {
    name: 'reserved-control-bits',
    source:
      'WEB hypercall-interface, "Hypercall Inputs" and "Common Hypercall Status Codes"; Is Nested is not reserved',
    certainty: 'certain',
    statuses: [invalidInput],
    applies: ({ reserved }) => (reserved.low & ~isNestedBit) !== 0 || reserved.high !== 0,
  },
  {
    name: 'unknown-call-code',
    source: 'WEB hypercall-interface, "Common Hypercall Status Codes"',
    certainty: 'certain',
    statuses: [invalidCode],
    applies: (call) => !isKnown(call),
  },
  {
    name: 'rep-on-simple-call',
    source: 'WEB hypercall-interface, "Hypercall Inputs" and "Common Hypercall Status Codes"; both calls are simple',
    certainty: 'certain',
    statuses: [invalidInput],
    applies: (call) => isKnown(call) && (call.repCount | call.repStart) !== 0,
  },
  {
    name: 'variable-header-on-fixed-call',
    source: 'WEB hypercall-interface, "Variable Sized Hypercall Input Headers"',
    certainty: 'certain',
    statuses: [invalidInput],
    applies: (call) => isIpi(call) && call.variableHeader !== 0,
  },
];

const addressRules: readonly TlfsRule[] = [
  {
    name: 'gpa-misaligned',
    source: 'WEB hypercall-interface, "Alignment Requirements" and "Common Hypercall Status Codes"',
    certainty: 'certain',
    statuses: [invalidAlignment],
    applies: (call) => isSlow(call) && (call.gpa & 7n) !== 0n,
  },
  {
    name: 'gpa-page-cross',
    source: 'WEB hypercall-interface, "Alignment Requirements": the parameter list must not cross a page boundary',
    certainty: 'certain',
    statuses: [invalidAlignment],
    applies: (call) => isSlow(call) && crosses(call.gpa, isAllVps(call) ? headBytes(call) : blockBytes(call)),
  },
  {
    name: 'gpa-page-cross-by-unused-banks',
    source: 'WEB HV_VP_SET says nothing of banks in a set of all VPs; whether they count as input is open',
    certainty: 'guess',
    statuses: [invalidAlignment],
    applies: (call) => isSlow(call) && isAllVps(call) && crosses(call.gpa, blockBytes(call)),
  },
  {
    name: 'gpa-outside-space',
    source: 'WEB hypercall-interface, "Common Hypercall Status Codes": not within the bounds of the GPA space',
    certainty: 'certain',
    statuses: [invalidAlignment],
    applies: (call) => isSlow(call) && call.gpa >= gpaSpaceEnd,
  },
  {
    name: 'gpa-unmapped',
    source:
      'WEB hypercall-interface, "Alignment Requirements": memory intercept, what the guest sees is up to the parent',
    certainty: 'unspecified',
    statuses: null,
    applies: (call) => isSlow(call) && call.gpa < gpaSpaceEnd && isUnread(call),
  },
];

const fieldRules: readonly TlfsRule[] = [
  {
    name: 'vector-out-of-range',
    source: 'WEB HvCallSendSyntheticClusterIpi(Ex), Vector 0x10..0xff; PDF6 p.116-117, HV_STATUS_INVALID_PARAMETER',
    certainty: 'certain',
    statuses: [invalidParameter],
    applies: (call) => isRead(call) && (call.vector < HV_IPI_LOW_VECTOR || call.vector > HV_IPI_HIGH_VECTOR),
  },
  {
    name: 'target-vtl-reserved',
    source: 'WEB HV_INPUT_VTL, ReservedZ; PDF6 p.116-117, HV_STATUS_INVALID_PARAMETER for reserved fields',
    certainty: 'certain',
    statuses: [invalidParameter],
    applies: (call) => isRead(call) && (call.afterVector & vtlReserved) !== 0,
  },
  {
    name: 'target-vtl-higher',
    source: 'WEB HV_INPUT_VTL: UseTargetVtl with a VTL that is not there; no status is named',
    certainty: 'guess',
    statuses: null,
    applies: (call) => isRead(call) && (call.afterVector & useTargetVtl) !== 0 && (call.afterVector & targetVtl) !== 0,
  },
  {
    name: 'padding-not-zero',
    source: 'WEB hypercall-interface: padding is ignored; PDF6 p.116-117 calls the same bytes reserved: 5',
    certainty: 'guess',
    statuses: [invalidParameter],
    applies: (call) => isRead(call) && (call.afterVector & paddingMask) !== 0,
  },
  {
    name: 'unknown-format',
    source: 'WEB HV_VP_SET defines formats 0 and 1; PDF6 p.117, invalid fields; which status is a guess',
    certainty: 'certain',
    statuses: null,
    applies: (call) => isReadEx(call) && !isAllVps(call) && toBigInt(call.format) !== HV_GENERIC_SET_SPARSE_4K,
  },
  {
    name: 'bank-count-mismatch',
    source: 'WEB HV_VP_SET: an element for every bit of ValidBanksMask; no status is named, nor a rule for all VPs',
    certainty: 'guess',
    statuses: null,
    applies: (call) => isReadEx(call) && call.variableHeader !== call.maskCount,
  },
  {
    name: 'fast-block-too-large',
    source: 'WEB hypercall-interface, "XMM Fast Hypercall Input": up to 112 bytes; no status is named',
    certainty: 'guess',
    statuses: null,
    applies: (call) => isIpiEx(call) && call.isFast && call.variableHeader > xmmBankCount,
  },
  {
    name: 'absent-vp',
    source: 'WEB HvCallSendSyntheticClusterIpi(Ex) does not say what naming a VP that does not exist does',
    certainty: 'unspecified',
    statuses: null,
    applies: (call, { namesAbsentVp }) => isRead(call) && namesAbsentVp,
  },
];

export const tlfsRules: readonly TlfsRule[] = [...environmentRules, ...controlRules, ...addressRules, ...fieldRules];
