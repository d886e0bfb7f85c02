/**
 * The hypercall interface of TLFS as far as the two IPI hypercalls need it: input value, input structures, VP set,
 * status codes. Source: TLFS "Hypercall Interface", HvCallSendSyntheticClusterIpi(Ex), HV_VP_SET; upstream names are
 * kept for upstream numbers so that grep works in both trees.
 */
import { defineLayout, wordField } from './layout.ts';

/** Call codes (TLFS; include/asm-generic/hyperv-tlfs.h). */
export const HVCALL_SEND_IPI = 0x000b;
export const HVCALL_SEND_IPI_EX = 0x0015;

/** Of EAX: tells a Hyper-V hypercall from a Xen one, where KVM intercepts those (kvm_xen_hypercall). */
export const xenHypervBit = 0x8000_0000;

/** Hypercall input value, RCX of a 64-bit caller (TLFS "Hypercall Inputs"; HV_HYPERCALL_* in hyperv-tlfs.h). */
export const controlWord = defineLayout('control word', 64, [
  { name: 'callCode', bits: 16, meaning: 'call code' },
  { name: 'isFast', bits: 1, meaning: 'parameters in registers' },
  { name: 'variableHeaderSize', bits: 10, meaning: 'variable header, in 8-byte units' },
  { name: 'reserved0', bits: 4, meaning: 'must be zero' },
  { name: 'isNested', bits: 1, meaning: 'to be handled by L0; KVM: reserved' },
  { name: 'repCount', bits: 12, meaning: 'repetitions; 0 for a simple call' },
  { name: 'reserved1', bits: 4, meaning: 'must be zero' },
  { name: 'repStartIndex', bits: 12, meaning: 'first repetition; 0 for a simple call' },
  { name: 'reserved2', bits: 4, meaning: 'must be zero' },
]);

/** The fields of the control word that every call has something to say with, as they stand in its two 32-bit words. */
export const controlFields = {
  callCode: wordField(controlWord, 'callCode'),
  isFast: wordField(controlWord, 'isFast'),
  variableHeaderSize: wordField(controlWord, 'variableHeaderSize'),
  repCount: wordField(controlWord, 'repCount'),
  repStartIndex: wordField(controlWord, 'repStartIndex'),
} as const;

/** Input of HvCallSendSyntheticClusterIpi, 16 bytes (struct hv_send_ipi). */
export const sendIpiInput = defineLayout('hv_send_ipi', 128, [
  { name: 'vector', bits: 32, meaning: 'vector, 0x10..0xff' },
  { name: 'targetVtl', bits: 8, meaning: 'HV_INPUT_VTL: 3:0 VTL, 4 UseTargetVtl, 7:5 reserved' },
  { name: 'padding', bits: 24, meaning: 'padding' },
  { name: 'processorMask', bits: 64, meaning: 'bit n is the VP of index n' },
]);

/** Fixed part of the input of HvCallSendSyntheticClusterIpiEx, 24 bytes (struct hv_send_ipi_ex); banks follow. */
export const sendIpiExInput = defineLayout('hv_send_ipi_ex', 192, [
  { name: 'vector', bits: 32, meaning: 'vector, 0x10..0xff' },
  { name: 'targetVtl', bits: 8, meaning: 'HV_INPUT_VTL: 3:0 VTL, 4 UseTargetVtl, 7:5 reserved' },
  { name: 'padding', bits: 24, meaning: 'padding' },
  { name: 'format', bits: 64, meaning: 'HV_VP_SET format: 0 sparse, 1 all' },
  { name: 'validBankMask', bits: 64, meaning: 'bit n: bank n has an element in the bank array' },
]);

/** HV_VP_SET formats (TLFS HV_GENERIC_SET_FORMAT). */
export const HV_GENERIC_SET_SPARSE_4K = 0n;
export const HV_GENERIC_SET_ALL = 1n;

/** VPs in a bank, and banks in a set (TLFS HV_VP_SET). */
export const vpsPerBank = 64;
export const bankCountMax = 64;

/** Vectors that the calls accept (TLFS, both call pages; HV_IPI_LOW_VECTOR and HV_IPI_HIGH_VECTOR). */
export const HV_IPI_LOW_VECTOR = 0x10;
export const HV_IPI_HIGH_VECTOR = 0xff;

/** Bytes that go through registers in an XMM fast call: RDX, R8 and XMM0..XMM5 (TLFS "XMM Fast Hypercall Input"). */
export const xmmRegisterCount = 6;
/** 64-bit halves of XMM0..XMM5. */
export const xmmHalfCount = 2 * xmmRegisterCount;

/** Status codes (TLFS "Common Hypercall Status Codes"; HV_STATUS_* in hyperv-tlfs.h). */
export const hvStatus = {
  HV_STATUS_SUCCESS: 0,
  HV_STATUS_INVALID_HYPERCALL_CODE: 2,
  HV_STATUS_INVALID_HYPERCALL_INPUT: 3,
  HV_STATUS_INVALID_ALIGNMENT: 4,
  HV_STATUS_INVALID_PARAMETER: 5,
  HV_STATUS_ACCESS_DENIED: 6,
  HV_STATUS_OPERATION_DENIED: 8,
  HV_STATUS_INVALID_VP_INDEX: 0xe,
} as const;

/** With this bit of the call code set it may be an extended hypercall, which is the VMM's to answer (HV_EXT_CALL_*). */
export const extendedCallBit = 15;

/** Name of a status code, or its number in hex. */
export function hvStatusName(status: bigint): string {
  const found = Object.entries(hvStatus).find(([, code]) => BigInt(code) === status);
  return found === undefined ? `0x${status.toString(16)}` : found[0];
}
