/** Rows for the rules of TLFS: each call trips one rule and is otherwise right. */
import { arenaStart, ramEnd } from '../../../src/case/memory.ts';
import type { Caller } from '../../../oracle/call/caller.ts';
import type { CallRegisters } from '../programs.ts';

export interface Row {
  readonly rule: string;
  /** What is permitted as a whole, when nothing else is odd about the call. */
  readonly permitted: string;
  readonly call: CallRegisters;
  /** Words at RDX. */
  readonly memory?: readonly bigint[];
  /** Without it a plain caller through the enabled hypercall page. */
  readonly caller?: Partial<Caller>;
  /** Where the hypercall page is enabled. */
  readonly page?: bigint | null;
  /** Rules that apply as well; where the rule counts alone they do not show. */
  readonly others?: readonly string[];
}

export const hypercallPage = arenaStart + 0x4000n;

const five = 'HV_STATUS_INVALID_PARAMETER (5)';
const four = 'HV_STATUS_INVALID_ALIGNMENT (4)';
const three = 'HV_STATUS_INVALID_HYPERCALL_INPUT (3)';
export const toVcpu0 = 'HV_STATUS_SUCCESS (0), received by vCPU 0';
const ud = '#UD (vector 6)';
const anything = 'HV_STATUS_SUCCESS (0), received by vCPU 0; or any error';
const toAll = 'HV_STATUS_SUCCESS (0), received by vCPU 0, 1';
/** 0x000b fast, vector 0xfe, VP 0, with what is odd. */
export const fast = (odd: Partial<CallRegisters>): CallRegisters => ({ rcx: 0x0001_000bn, rdx: 0xfen, r8: 1n, ...odd });
/** 0x0015 fast, vector 0xfe, sparse, VP 0. */
export const fastEx = (odd: Partial<CallRegisters>): CallRegisters => ({
  rcx: 0x0003_0015n,
  rdx: 0xfen,
  r8: 0n,
  xmm: [1n, 1n],
  ...odd,
});
const input = [0xfen, 1n];
/** 0x0015 slow, all VPs, one bank. */
const slowAll = [0xfen, 1n, 1n, 1n];
const pageEnd = arenaStart + 0x1000n;

/** Who calls, and from where. */
const environmentRows: readonly Row[] = [
  { rule: 'illegal-environment', permitted: ud, call: fast({}), caller: { cpl: 1 } },
  { rule: 'illegal-environment', permitted: ud, call: fast({}), caller: { isProtected: false } },
  {
    rule: 'illegal-environment',
    permitted: ud,
    call: fast({}),
    caller: { cpl: 3, page: null, hasGuestOsId: false },
    others: ['interface-not-established', 'not-through-page'],
  },
  { rule: 'page-not-enabled', permitted: ud, call: fast({}), page: null },
  { rule: 'page-not-enabled', permitted: ud, call: fast({}), page: hypercallPage + 0x1000n },
  {
    rule: 'page-not-enabled',
    permitted: ud,
    call: fast({ rdx: 5n }),
    page: null,
    others: ['vector-out-of-range'],
  },
  {
    rule: 'interface-not-established',
    permitted: `${anything} or ${ud}`,
    call: fast({}),
    caller: { hasGuestOsId: false },
    page: null,
  },
  {
    rule: 'interface-not-established',
    permitted: `${anything} or ${ud}`,
    call: fast({}),
    caller: { hasHypervCpuid: false },
  },
  { rule: 'interface-not-established', permitted: `${anything} or ${ud}`, call: fast({}), caller: { isXen: true } },
  {
    rule: 'interface-not-established',
    permitted: `${anything} or ${ud}`,
    call: fast({}),
    caller: { isOtherOpcode: true },
  },
  {
    rule: 'extended-call',
    permitted: 'HV_STATUS_SUCCESS (0), nobody receives; or any error',
    call: { rcx: 0x0001_8001n },
    others: ['unknown-call-code'],
  },
  {
    rule: 'extended-call',
    permitted: 'HV_STATUS_SUCCESS (0), nobody receives; or any error',
    call: { rcx: 0x8041n },
    others: ['unknown-call-code'],
  },
  { rule: 'not-through-page', permitted: `${toVcpu0}; or ${ud}`, call: fast({}), caller: { page: null } },
  { rule: 'not-through-page', permitted: `${toVcpu0}; or ${ud}`, call: fast({}), caller: { page: null }, page: null },
  { rule: 'xmm-input-unavailable', permitted: ud, call: fastEx({}), caller: { lacks: ['xmm-input'] } },
  {
    rule: 'not-recommended',
    permitted: `${toVcpu0}; or HV_STATUS_ACCESS_DENIED (6)`,
    call: fast({}),
    caller: { lacks: ['cluster-ipi'] },
  },
  {
    rule: 'not-recommended',
    permitted: `${toVcpu0}; or HV_STATUS_ACCESS_DENIED (6)`,
    call: fastEx({}),
    caller: { lacks: ['ex-masks'] },
  },
  { rule: 'no-lapic', permitted: anything, call: fast({}), caller: { hasLapic: false } },
  { rule: 'input-in-overlay-page', permitted: anything, call: { rcx: 0x0bn, rdx: hypercallPage }, memory: input },
  {
    rule: 'input-in-overlay-page',
    permitted: anything,
    call: { rcx: 0x0bn, rdx: hypercallPage + 0x1000n - 16n },
    memory: input,
  },
  {
    rule: 'input-in-overlay-page',
    permitted: 'any error',
    call: { rcx: 0x0bn, rdx: hypercallPage - 8n },
    memory: input,
    others: ['gpa-page-cross'],
  },
];

/** What the call itself says. */
const callRows: readonly Row[] = [
  { rule: 'reserved-control-bits', permitted: three, call: fast({ rcx: 0x8000_0000_0001_000bn }) },
  { rule: 'reserved-control-bits', permitted: three, call: fast({ rcx: 0x0800_0000n | 0x0001_000bn }) },
  { rule: 'reserved-control-bits', permitted: three, call: fast({ rcx: 0x1000_0001_000bn }) },
  {
    rule: 'unknown-call-code',
    permitted: 'HV_STATUS_INVALID_HYPERCALL_CODE (2)',
    call: fast({ rcx: 0x0001_000fn, rdx: 1n }),
  },
  { rule: 'rep-on-simple-call', permitted: three, call: fast({ rcx: 0x0001_0001_000bn }) },
  { rule: 'rep-on-simple-call', permitted: three, call: fastEx({ rcx: 0x0001_0000_0003_0015n }) },
  { rule: 'variable-header-on-fixed-call', permitted: three, call: fast({ rcx: 0x0003_000bn }) },
  { rule: 'variable-header-on-fixed-call', permitted: three, call: fast({ rcx: 0x0019_000bn }) },
  { rule: 'gpa-misaligned', permitted: four, call: { rcx: 0x0bn, rdx: arenaStart + 4n }, memory: input },
  { rule: 'gpa-page-cross', permitted: four, call: { rcx: 0x0bn, rdx: pageEnd - 8n }, memory: input },
  {
    rule: 'gpa-page-cross',
    permitted: four,
    call: { rcx: 0x0002_0015n, rdx: pageEnd - 24n },
    memory: [0xfen, 0n, 1n, 1n],
  },
  {
    rule: 'gpa-page-cross-by-unused-banks',
    permitted: `${toAll}; or ${four}`,
    call: { rcx: 0x0002_0015n, rdx: pageEnd - 24n },
    memory: slowAll,
  },
  { rule: 'gpa-outside-space', permitted: four, call: { rcx: 0x0bn, rdx: 1n << 52n } },
  {
    rule: 'gpa-unmapped',
    permitted: 'HV_STATUS_SUCCESS (0), nobody receives; or any error',
    call: { rcx: 0x0bn, rdx: ramEnd },
  },
  { rule: 'vector-out-of-range', permitted: five, call: fast({ rdx: 0x0fn }) },
  { rule: 'vector-out-of-range', permitted: five, call: fast({ rdx: 0x100n }) },
  { rule: 'vector-out-of-range', permitted: five, call: fastEx({ rdx: 0x8000_00fen }) },
  { rule: 'target-vtl-reserved', permitted: five, call: fast({ rdx: 0x20_0000_00fen }) },
  { rule: 'target-vtl-reserved', permitted: five, call: fastEx({ rdx: 0x80_0000_00fen }) },
  { rule: 'target-vtl-higher', permitted: `${toVcpu0}; or any error`, call: fast({ rdx: 0x11_0000_00fen }) },
  { rule: 'padding-not-zero', permitted: `${toVcpu0}; or ${five}`, call: fast({ rdx: 0x100_0000_00fen }) },
  { rule: 'padding-not-zero', permitted: `${toVcpu0}; or ${five}`, call: fastEx({ rdx: 0x8000_0000_0000_00fen }) },
  { rule: 'unknown-format', permitted: 'any error', call: fastEx({ r8: 2n }) },
  { rule: 'unknown-format', permitted: 'any error', call: fastEx({ r8: 0x1_0000_0001n }) },
  {
    rule: 'bank-count-mismatch',
    permitted: `${toVcpu0}; or any error`,
    call: fastEx({ rcx: 0x0005_0015n }),
  },
  // What stands behind the banks that the mask counts names nobody.
  {
    rule: 'bank-count-mismatch',
    permitted: `${toVcpu0}; or any error`,
    call: fastEx({ rcx: 0x0005_0015n, xmm: [1n, 1n, 0x10n] }),
  },
  {
    rule: 'fast-block-too-large',
    permitted: `${toVcpu0}; or any error`,
    call: fastEx({ rcx: 0x0019_0015n, xmm: [0xfffn, 1n] }),
  },
  { rule: 'absent-vp', permitted: `${toVcpu0}; or any error`, call: fast({ r8: 3n }) },
];

/** Each call trips its rule and no other. */
export const rows = [...environmentRows, ...callRows];

/** Calls of which TLFS permits nothing but success. */
export const fine: readonly (Omit<Row, 'rule' | 'permitted'> & { readonly title: string })[] = [
  { title: 'a plain call', call: fast({}) },
  { title: 'a plain Ex call', call: fastEx({}) },
  { title: 'the lowest vector', call: fast({ rdx: 0x10n }) },
  { title: 'the highest vector', call: fast({ rdx: 0xffn }) },
  { title: 'bit 31, Is Nested', call: fast({ rcx: 0x8001_000bn }) },
  { title: 'UseTargetVtl with VTL 0', call: fast({ rdx: 0x10_0000_00fen }) },
  { title: 'a VTL that is not used', call: fast({ rdx: 0x0f_0000_00fen }) },
  { title: 'a slow call that ends where its page ends', call: { rcx: 0x0bn, rdx: pageEnd - 16n }, memory: input },
  { title: 'any output address', call: { rcx: 0x0bn, rdx: arenaStart, r8: 0xffff_ffff_ffff_ffffn }, memory: input },
  { title: 'a bank that is empty', call: fastEx({ rcx: 0x0005_0015n, xmm: [3n, 1n, 0n] }) },
  { title: 'as many banks as XMM registers hold', call: fastEx({ rcx: 0x0017_0015n, xmm: [0x7ffn, 1n] }) },
  {
    title: 'more banks in memory than XMM registers hold',
    call: { rcx: 0x0018_0015n, rdx: arenaStart },
    memory: [0xfen, 0n, 0xfffn, 1n],
  },
  { title: 'a call in 32-bit code', call: fast({}), caller: { is64Bit: false } },
  { title: 'a CPUID that is enforced', call: fastEx({}), caller: { isEnforced: true } },
  { title: 'a plain fast call without XMM input', call: fast({}), caller: { lacks: ['xmm-input'] } },
  {
    title: 'a slow Ex call without XMM input',
    call: { rcx: 0x0002_0015n, rdx: arenaStart },
    memory: [0xfen, 0n, 1n, 1n],
    caller: { lacks: ['xmm-input'] },
  },
  {
    title: 'a block that ends where the hypercall page begins',
    call: { rcx: 0x0bn, rdx: hypercallPage - 16n },
    memory: input,
  },
  {
    title: 'a block that begins where the hypercall page ends',
    call: { rcx: 0x0bn, rdx: hypercallPage + 0x1000n },
    memory: input,
  },
  { title: 'a fast call whose parameters look like the page', call: fast({ rdx: 0xfen }), page: hypercallPage },
];
