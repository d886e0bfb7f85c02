/** Why a mutant was missed, by name: what of generators, model or observation would have to be different. */
export const explanations: Readonly<Record<string, string>> = {
  'call-code-14-bit':
    'the computer was overloaded (load 11): 3,294 calls in 66 s, of which few break the call code, and of those one in eleven bit 14',
  'count-8-bit':
    'the computer was overloaded (load 11): 10,903 calls in 64 s; it takes format 1 with a header that is 256 or 512 too large',
  'default-index-is-id':
    'generators: a vCPU needs an id that is not its position and a VP index that is refused, or none at all; both are ' +
    'drawn, but hardly ever for the same vCPU',
  'auto-eoi-forgotten':
    'generators: vCPUs with auto-EOI SINTs are few, and the vector must be one of theirs and be taken; 30,975 calls had none',
};
