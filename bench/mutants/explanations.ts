/** Measured at a load of 13 on two CPUs, where 90 s had one or two concurrent batches; races are drawn twice as often since. */
const fewRaces =
  'a race with a window of some instructions, in one or two concurrent batches; measured before races came twice as often';

/** Why a mutant was missed, by name: what of generators, model or observation would have to be different. */
export const explanations: Readonly<Record<string, string>> = {
  'index-without-context':
    'generators: a call must name a vCPU without Hyper-V by its position, beside a sender that has it, and nothing may have ' +
    "written that vCPU's VP index in its VM; one batch in thirteen has both, and 60 s have some forty",
  'irr-set-not-atomic': fewRaces,
  'irr-set-in-two-steps': fewRaces,
  'irr-clear-in-two-steps': fewRaces,
  'pending-noted-first': fewRaces,
  'pending-forgotten-late': fewRaces,
  'tmr-clear-in-two-steps': fewRaces,
  'request-in-two-steps': fewRaces,
  'kick-before-request': fewRaces,
  'mode-read-before-request': fewRaces,
  'input-shared': fewRaces,
  'ex-input-shared': fewRaces,
  'banks-shared-in-vm': fewRaces,
  'block-unchecked':
    'a race: KVM polls before it sleeps, so that the vector must come between the last poll and the sleep',
  'sint-first-of-vector':
    'generators, mended since: SINTs were written mostly on vCPUs without SynIC, and few calls had the vector of one',
  'banks-shared-by-all': 'a race of two senders with different sets, in one or two concurrent batches',
  'id-4095-left-out':
    'generators: one batch in 256 has machines of hundreds of vCPUs, and of those two in five end with that id',
};
