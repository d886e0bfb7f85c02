const narrow = 'a race with a window of one to three instructions; concurrent batches of 90 s have some 10,000 calls';
const atTheEdge =
  'a race: the vector must come while its receiver enters the guest or goes to sleep, and one that spins is in the guest ' +
  'nearly all of the time';

/** Why a mutant was missed, by name: what of generators, model or observation would have to be different. */
export const explanations: Readonly<Record<string, string>> = {
  'index-without-context':
    'generators: a call must name a vCPU without Hyper-V by its position, beside a sender that has it, and nothing may have ' +
    "written that vCPU's VP index in its VM; one batch in thirteen has both, and 60 s have some forty",
  'irr-set-not-atomic': narrow,
  'pending-noted-first': narrow,
  'pending-forgotten-late': narrow,
  'tmr-clear-in-two-steps': narrow,
  'request-in-two-steps': narrow,
  'kick-before-request': atTheEdge,
  'mode-read-before-request': atTheEdge,
  'requests-unchecked-at-entry': atTheEdge,
  'looked-then-cleared': atTheEdge,
  'block-checked-first': atTheEdge,
  'input-shared':
    'a race of two slow calls of 0x000b: one must read its input in the some fifty instructions between reading and use of the other',
  'vp-index-through-0': 'a race of a call to VP 0 with a VP index that changes; it was found once after 122 s',
  'sint-polling-is-masked':
    'generators: a SINT with the polling bit, and a vector that no other SINT of its vCPU has, is in one case of 800',
  'x2apic-ldr-8-bit':
    'observation: what LDR should be is taken from the LAPIC page that KVM gives of a fresh vCPU, and is not computed',
  'banks-shared-by-all': 'a race of two senders with different sets, in one or two concurrent batches',
  'id-4095-left-out':
    'generators: one batch in 256 has machines of hundreds of vCPUs, and of those two in five end with that id',
};
