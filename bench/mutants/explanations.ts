/** Why a mutant was missed, by name: what of generators, model or observation would have to be different. */
export const explanations: Readonly<Record<string, string>> = {
  'count-8-bit':
    'generators: a header that is 256 or 512 too large reaches anything but status 3 only with format 1, because a ' +
    'set of more than 64 banks is refused behind the mutated check as well; format 1 and such a header are drawn ' +
    'independently of each other and of the mask',
};
