/** Why a mutant was missed, by name: what of generators, model or observation would have to be different. */
export const explanations: Readonly<Record<string, string>> = {
  'default-index-is-id':
    'generators: a vCPU needs an id that is not its position and a VP index that is refused, or none at all; both are ' +
    'drawn, but hardly ever for the same vCPU',
  'auto-eoi-forgotten':
    'generators: vCPUs with auto-EOI SINTs are few, and the vector must be one of theirs and be taken; 30,975 calls had none',
};
