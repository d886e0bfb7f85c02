/** Rows for the rules of KVM: each call trips one rule and is otherwise right. */
import { arenaStart, ramEnd } from '../../../src/case/memory.ts';
import type { TargetFacts } from '../../../src/executor/facts.ts';
import type { Caller } from '../../../oracle/call/caller.ts';
import type { Answer } from '../../../oracle/call/rules.ts';
import type { CallRegisters } from '../programs.ts';

/** A call as it arrives: registers, who makes it, and on which KVM. */
export interface Arriving {
  readonly call: CallRegisters;
  /** Words at RDX. */
  readonly memory?: readonly bigint[];
  readonly caller?: Partial<Caller>;
  readonly on?: Partial<TargetFacts>;
}

export interface Row extends Arriving {
  readonly rule: string;
  readonly answer: Answer;
  /** The rule that decides the same call when `rule` is taken away: it shows that nothing else is wrong. */
  readonly otherwise: string;
}

const status = (code: number): Answer => ({ kind: 'status', status: code });
const ud: Answer = { kind: 'fault', vector: 6 };
const gp: Answer = { kind: 'fault', vector: 13 };
const native = (value: bigint): Answer => ({ kind: 'native', value });
const exit = (name: 'xen' | 'hyperv'): Answer => ({ kind: 'exit', exit: name });

export const inHole = ramEnd;
export const twelveBanks = 0xfffn;
export const intel = { cpu: 'GenuineIntel' };
/** Debian 11's. */
export const on510 = { kernelRelease: '5.10.0-32-amd64', kvmMaxVcpus: 288, xen: false };
/** 0x000b fast, vector 0xfe, VP 0; RAX is the number of no hypercall of KVM or Xen. */
export const fine = { rcx: 0x0001_000bn, rdx: 0xfen, r8: 1n, rax: 0x40n };
/** 0x0015 fast, vector 0xfe, VP 0. */
export const fineEx = { rcx: 0x0003_0015n, rdx: 0xfen, xmm: [1n, 1n], rax: 0x40n };
export const isHypervForXen = 0x8000_0040n;

/** Before KVM knows whose hypercall it is, and who may call. */
const entryRows: readonly Row[] = [
  {
    rule: 'other-opcode-privileged',
    answer: gp,
    otherwise: 'illegal-environment',
    call: fine,
    caller: { isOtherOpcode: true, cpl: 1 },
  },
  {
    rule: 'other-opcode-privileged',
    answer: gp,
    otherwise: 'native-privilege',
    call: fine,
    caller: { isOtherOpcode: true, cpl: 3, hasGuestOsId: false },
  },
  {
    rule: 'other-opcode-real-mode',
    answer: ud,
    otherwise: 'illegal-environment',
    call: fine,
    caller: { isOtherOpcode: true, isProtected: false },
    on: intel,
  },
  {
    rule: 'other-opcode-real-mode',
    answer: ud,
    otherwise: 'native-unknown',
    call: fine,
    caller: { isOtherOpcode: true, isProtected: false, hasHypervCpuid: false },
    on: intel,
  },
  { rule: 'xen-hypercall', answer: exit('xen'), otherwise: 'deliver', call: fine, caller: { isXen: true } },
  {
    rule: 'xen-hypercall',
    answer: exit('xen'),
    otherwise: 'native-unknown',
    call: { ...fine, rax: isHypervForXen },
    caller: { isXen: true, hasGuestOsId: false },
  },
  {
    rule: 'native-privilege',
    answer: native(-1n),
    otherwise: 'native-unknown',
    call: fine,
    caller: { hasGuestOsId: false, cpl: 3 },
  },
  {
    rule: 'native-privilege',
    answer: native(-1n),
    otherwise: 'native-sched-yield',
    call: { ...fine, rax: 11n },
    caller: { hasHypervCpuid: false, cpl: 1 },
  },
  {
    rule: 'native-sched-yield',
    answer: native(0n),
    otherwise: 'native-unknown',
    call: { ...fine, rax: 11n },
    caller: { hasGuestOsId: false },
  },
  { rule: 'native-unknown', answer: native(-1000n), otherwise: 'deliver', call: fine, caller: { hasGuestOsId: false } },
  {
    rule: 'native-unknown',
    answer: native(-1000n),
    otherwise: 'deliver',
    call: fine,
    caller: { hasHypervCpuid: false },
  },
  {
    rule: 'native-unknown',
    answer: native(-1000n),
    otherwise: 'deliver',
    call: { ...fine, rax: 0x1_0000_000bn },
    caller: { hasGuestOsId: false },
  },
  { rule: 'illegal-environment', answer: ud, otherwise: 'deliver', call: fine, caller: { cpl: 1 } },
  { rule: 'illegal-environment', answer: ud, otherwise: 'deliver', call: fine, caller: { cpl: 3 } },
  { rule: 'illegal-environment', answer: ud, otherwise: 'deliver', call: fine, caller: { isProtected: false } },
  {
    rule: 'access-denied',
    answer: status(6),
    otherwise: 'deliver',
    call: fine,
    caller: { isEnforced: true, lacks: ['cluster-ipi'] },
  },
  {
    rule: 'access-denied',
    answer: status(6),
    otherwise: 'deliver',
    call: fineEx,
    caller: { isEnforced: true, lacks: ['cluster-ipi'] },
  },
  {
    rule: 'access-denied',
    answer: status(6),
    otherwise: 'deliver',
    call: fineEx,
    caller: { isEnforced: true, lacks: ['ex-masks'] },
  },
  {
    rule: 'xmm-input-denied',
    answer: ud,
    otherwise: 'deliver',
    call: fineEx,
    caller: { isEnforced: true, lacks: ['xmm-input'] },
  },
  { rule: 'extended-call-fast', answer: status(5), otherwise: 'extended-call', call: { rcx: 0x0001_8001n } },
  { rule: 'extended-call-fast', answer: status(5), otherwise: 'extended-call', call: { rcx: 0x0001_8041n } },
  { rule: 'extended-call', answer: exit('hyperv'), otherwise: 'unknown-call-code', call: { rcx: 0x8001n } },
  { rule: 'extended-call', answer: exit('hyperv'), otherwise: 'unknown-call-code', call: { rcx: 0x8041n } },
  { rule: 'no-lapic', answer: status(3), otherwise: 'deliver', call: fine, caller: { hasLapic: false } },
  { rule: 'no-lapic', answer: status(3), otherwise: 'deliver', call: fineEx, caller: { hasLapic: false } },
];

const callRows: readonly Row[] = [
  // 0x000b fast, vector 0xfe, VP 0; bit 63 of the control word.
  {
    rule: 'reserved-control-bits',
    answer: status(3),
    otherwise: 'deliver',
    call: { rcx: 0x8000_0000_0001_000bn, rdx: 0xfen, r8: 1n },
  },
  {
    rule: 'reserved-control-bits',
    answer: status(3),
    otherwise: 'deliver',
    call: { rcx: 0x0000_0000_8001_000bn, rdx: 0xfen, r8: 1n },
  },
  {
    rule: 'unknown-call-code',
    answer: status(2),
    otherwise: 'bad-vector',
    call: { rcx: 0x0001_000fn, rdx: 0xfen, r8: 1n },
  },
  {
    rule: 'variable-header-on-fixed-call',
    answer: status(3),
    otherwise: 'deliver',
    call: { rcx: 0x0003_000bn, rdx: 0xfen, r8: 1n },
  },
  { rule: 'fast-ex-unknown', answer: status(3), otherwise: 'deliver', call: fineEx, on: on510 },
  {
    rule: 'rep-on-simple-call',
    answer: status(3),
    otherwise: 'deliver',
    call: { rcx: 0x0000_0001_0001_000bn, rdx: 0xfen, r8: 1n },
  },
  {
    rule: 'rep-on-simple-call',
    answer: status(3),
    otherwise: 'deliver-to-all',
    call: { rcx: 0x0001_0000_0001_0015n, rdx: 0xfen, r8: 1n },
  },
  { rule: 'input-unreadable', answer: status(3), otherwise: 'bad-vector', call: { rcx: 0x000bn, rdx: inHole - 15n } },
  {
    rule: 'input-unreadable',
    answer: status(3),
    otherwise: 'empty-sparse-set',
    call: { rcx: 0x0015n, rdx: inHole - 23n },
  },
  {
    rule: 'input-unreadable',
    answer: status(3),
    otherwise: 'bad-vector',
    call: { rcx: 0x000bn, rdx: 0xffff_ffff_ffff_fff8n },
  },
  {
    rule: 'fast-reserved-bits',
    answer: status(3),
    otherwise: 'deliver',
    call: { rcx: 0x0001_000bn, rdx: 0x10_0000_00fen, r8: 1n },
  },
  // 0x0015 fast, two banks in the variable header and one in the mask.
  {
    rule: 'bank-count-mismatch',
    answer: status(3),
    otherwise: 'deliver',
    call: { rcx: 0x0005_0015n, rdx: 0xfen, xmm: [1n, 1n] },
  },
  {
    rule: 'bank-count-mismatch',
    answer: status(3),
    otherwise: 'deliver-to-all',
    call: { rcx: 0x0001_0015n, rdx: 0xfen, r8: 1n, xmm: [1n] },
  },
  { rule: 'empty-sparse-set', answer: status(0), otherwise: 'deliver', call: { rcx: 0x0001_0015n, rdx: 0xfen } },
  {
    rule: 'too-many-fast-banks',
    answer: status(3),
    otherwise: 'deliver',
    call: { rcx: 0x0019_0015n, rdx: 0xfen, xmm: [twelveBanks] },
  },
  // 0x0015 slow, the 24 bytes end where RAM ends and the one bank begins there.
  {
    rule: 'banks-unreadable',
    answer: status(3),
    otherwise: 'deliver',
    call: { rcx: 0x0002_0015n, rdx: ramEnd - 24n },
    memory: [0xfen, 0n, 1n],
  },
  { rule: 'bad-vector', answer: status(3), otherwise: 'deliver', call: { rcx: 0x0001_000bn, rdx: 0x0fn, r8: 1n } },
  { rule: 'bad-vector', answer: status(3), otherwise: 'deliver', call: { rcx: 0x0001_000bn, rdx: 0x100n, r8: 1n } },
  {
    rule: 'bad-vector',
    answer: status(3),
    otherwise: 'deliver',
    call: { rcx: 0x0001_000bn, rdx: 0x8000_00fen, r8: 1n },
  },
  { rule: 'bad-vector', answer: status(3), otherwise: 'deliver-to-all', call: { rcx: 0x0001_0015n, rdx: 5n, r8: 1n } },
  { rule: 'deliver-to-all', answer: status(0), otherwise: 'deliver', call: { rcx: 0x0001_0015n, rdx: 0x10n, r8: 1n } },
  { rule: 'deliver', answer: status(0), otherwise: '', call: { rcx: 0x0001_000bn, rdx: 0xffn } },
  {
    rule: 'deliver',
    answer: status(0),
    otherwise: '',
    call: { rcx: 0x000bn, rdx: arenaStart + 1n },
    memory: [0x10n, 1n],
  },
];

/** All rows. */
export const rows = [...entryRows, ...callRows];
