/** Why a mutant was missed, by name: what of generators, model or observation would have to be different. */
export const explanations: Readonly<Record<string, string>> = {
  'index-without-context':
    'generators: a call must name a vCPU without Hyper-V by its position, beside a sender that has it, and nothing may have ' +
    "written that vCPU's VP index in its VM; one batch in thirteen has both, and 60 s have some forty",
};
