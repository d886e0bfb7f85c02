/** Calls at the borders between rules of KVM. */
import { arenaStart, ramEnd } from '../../../src/case/memory.ts';
import { oldFacts } from '../programs.ts';
import { type Arriving, fine, fineEx, inHole, intel, isHypervForXen, on510, twelveBanks } from './rule-rows.ts';

/** Which rule decides, and what the call has. */
interface Border extends Arriving {
  readonly title: string;
  readonly rule: string;
}

/** Calls that break several rules at once: the one that KVM meets first decides. */
export const meetings: readonly Border[] = [
  {
    title: 'reserved bits and an unknown call code',
    rule: 'reserved-control-bits',
    call: { rcx: 0x8000_0000_0000_0099n },
  },
  { title: 'an unknown call code and reps', rule: 'unknown-call-code', call: { rcx: 0x0001_0000_0000_0099n } },
  { title: 'reps and an unreadable input', rule: 'rep-on-simple-call', call: { rcx: 0x1_0000_0015n, rdx: inHole } },
  { title: 'a header and reps', rule: 'variable-header-on-fixed-call', call: { rcx: 0x0001_0000_0002_000bn } },
  { title: 'an empty sparse set and vector 5', rule: 'empty-sparse-set', call: { rcx: 0x0001_0015n, rdx: 5n } },
  {
    title: 'an empty sparse set and an odd format',
    rule: 'empty-sparse-set',
    call: { rcx: 0x0001_0015n, rdx: 0xfen, r8: 0x1_0000_0001n },
  },
  {
    title: 'vector 5 and too many fast banks',
    rule: 'too-many-fast-banks',
    call: { rcx: 0x0019_0015n, rdx: 5n, xmm: [twelveBanks] },
  },
  {
    title: 'format all and too many fast banks',
    rule: 'deliver-to-all',
    call: { rcx: 0x0019_0015n, rdx: 0xfen, r8: 1n, xmm: [twelveBanks] },
  },
  {
    title: 'bits after the vector of a fast Ex call',
    rule: 'empty-sparse-set',
    call: { rcx: 0x0001_0015n, rdx: -1n & (2n ** 64n - 1n) },
  },
  {
    title: 'the other opcode at CPL 3 and Xen',
    rule: 'other-opcode-privileged',
    call: fine,
    caller: { isOtherOpcode: true, cpl: 3, isXen: true },
  },
  {
    title: "Xen and CPL 3: KVM does not look at the CPL of Xen's hypercalls",
    rule: 'xen-hypercall',
    call: fine,
    caller: { isXen: true, cpl: 3 },
  },
  {
    title: "KVM's own interface and real mode",
    rule: 'native-unknown',
    call: fine,
    caller: { hasGuestOsId: false, isProtected: false },
  },
  {
    title: 'CPL 3 and a denied access',
    rule: 'illegal-environment',
    call: fine,
    caller: { cpl: 3, isEnforced: true, lacks: ['cluster-ipi'] },
  },
  {
    title: 'a denied access and reserved bits',
    rule: 'access-denied',
    call: { ...fine, rcx: 0x8000_0000_0001_000bn },
    caller: { isEnforced: true, lacks: ['cluster-ipi'] },
  },
  {
    title: 'reserved bits and denied XMM input',
    rule: 'reserved-control-bits',
    call: { ...fineEx, rcx: 0x8000_0000_0003_0015n },
    caller: { isEnforced: true, lacks: ['xmm-input'] },
  },
  {
    title: 'denied XMM input and reps',
    rule: 'xmm-input-denied',
    call: { ...fineEx, rcx: 0x0001_0003_0015n },
    caller: { isEnforced: true, lacks: ['xmm-input'] },
  },
  {
    title: 'reserved bits and an extended call',
    rule: 'reserved-control-bits',
    call: { rcx: 0x8000_0000_0000_8001n },
  },
  {
    title: 'reps and no LAPIC',
    rule: 'rep-on-simple-call',
    call: { ...fine, rcx: 0x0001_0001_000bn },
    caller: { hasLapic: false },
  },
  {
    title: 'no LAPIC and an empty sparse set',
    rule: 'no-lapic',
    call: { rcx: 0x0001_0015n, rdx: 0xfen },
    caller: { hasLapic: false },
  },
];

/** What comes close to a rule without tripping it. */
export const passing: readonly Border[] = [
  { title: 'a plain call', rule: 'deliver', call: fine },
  { title: 'a plain Ex call', rule: 'deliver', call: fineEx },
  {
    title: 'bit 31 of EAX where Xen hypercalls are intercepted',
    rule: 'deliver',
    call: { ...fine, rax: isHypervForXen },
    caller: { isXen: true },
  },
  { title: 'VMCALL at CPL 0 on AMD', rule: 'deliver', call: fine, caller: { isOtherOpcode: true } },
  {
    title: 'VMCALL in real mode on AMD',
    rule: 'native-unknown',
    call: fine,
    caller: { isOtherOpcode: true, isProtected: false, hasGuestOsId: false },
  },
  {
    title: 'VMMCALL at CPL 3 on Intel',
    rule: 'native-privilege',
    call: fine,
    caller: { isOtherOpcode: true, cpl: 3, hasGuestOsId: false },
    on: intel,
  },
  { title: 'VMMCALL at CPL 0 on Intel', rule: 'deliver', call: fine, caller: { isOtherOpcode: true }, on: intel },
  { title: 'the native opcode at CPL 3', rule: 'illegal-environment', call: fine, caller: { cpl: 3 } },
  {
    title: 'the native opcode in real mode on Intel',
    rule: 'native-unknown',
    call: fine,
    caller: { isProtected: false, hasGuestOsId: false },
    on: intel,
  },
  {
    title: 'as many banks as XMM registers hold',
    rule: 'deliver',
    call: { ...fineEx, rcx: 0x0017_0015n, xmm: [0x7ffn, 1n] },
  },
  {
    title: 'a set of all VPs whose banks cannot be read',
    rule: 'deliver-to-all',
    call: { rcx: 0x0002_0015n, rdx: ramEnd - 24n },
    memory: [0xfen, 1n, 1n],
  },
  { title: 'reserved bits on 5.10', rule: 'deliver', call: { ...fine, rcx: 0xf000_f000_f801_000bn }, on: on510 },
  {
    title: 'a variable header on a fixed call on 5.10',
    rule: 'deliver',
    call: { ...fine, rcx: 0x0003_000bn },
    on: on510,
  },
  {
    title: 'a missing feature on 5.10, whatever is enforced elsewhere',
    rule: 'fast-ex-unknown',
    call: fineEx,
    caller: { lacks: ['xmm-input'] },
    on: on510,
  },
  {
    title: 'more banks than the variable header says on 5.10',
    rule: 'deliver',
    call: { rcx: 0x0015n, rdx: arenaStart },
    memory: [0xfen, 0n, 3n, 1n, 1n],
    on: on510,
  },
  {
    title: 'banks of the mask beyond the readable ones on 5.10, whatever the variable header says',
    rule: 'banks-unreadable',
    call: { rcx: 0x0002_0015n, rdx: ramEnd - 32n },
    memory: [0xfen, 0n, 3n, 1n],
    on: on510,
  },
  {
    title: 'an empty mask and a variable header on 5.10',
    rule: 'empty-sparse-set',
    call: { rcx: 0x0002_0015n, rdx: arenaStart },
    memory: [0x5n, 0n, 0n],
    on: on510,
  },
  {
    title: 'no LAPIC in the kernel and nobody named on 5.10',
    rule: 'deliver',
    call: { ...fine, r8: 0n },
    caller: { hasLapic: false },
    on: on510,
  },
  { title: 'RAX 11 of a Hyper-V call', rule: 'deliver', call: { ...fine, rax: 11n } },
  { title: '32-bit code', rule: 'deliver', call: fine, caller: { is64Bit: false } },
  {
    title: 'enforced CPUID that has everything',
    rule: 'deliver',
    call: fineEx,
    caller: { isEnforced: true },
  },
  {
    title: 'a CPUID that lacks all but is not enforced',
    rule: 'deliver',
    call: fineEx,
    caller: { lacks: ['cluster-ipi', 'ex-masks', 'xmm-input'] },
  },
  {
    title: 'a plain call without the Ex bit and XMM input',
    rule: 'deliver',
    call: fine,
    caller: { isEnforced: true, lacks: ['ex-masks', 'xmm-input'] },
  },
  {
    title: 'a slow Ex call without XMM input',
    rule: 'deliver',
    call: { rcx: 0x0002_0015n, rdx: arenaStart },
    memory: [0xfen, 0n, 1n, 1n],
    caller: { isEnforced: true, lacks: ['xmm-input'] },
  },
  {
    title: 'an unknown code where everything is denied',
    rule: 'unknown-call-code',
    call: { rcx: 0x0001_0099n },
    caller: { isEnforced: true, lacks: ['cluster-ipi', 'ex-masks', 'xmm-input'] },
  },
  { title: 'the code below the extended ones', rule: 'unknown-call-code', call: { rcx: 0x8000n } },
  { title: 'the code above the extended ones', rule: 'unknown-call-code', call: { rcx: 0x0001_8042n } },
  { title: 'an extended code before 6.3', rule: 'unknown-call-code', call: { rcx: 0x8001n }, on: oldFacts },
  { title: 'a fast extended code before 6.3', rule: 'unknown-call-code', call: { rcx: 0x0001_8001n }, on: oldFacts },
];
