/** Why a mutant was missed, by name: what of generators, model or observation would have to be different. */
export const explanations: Readonly<Record<string, string>> = {
  'count-8-bit':
    'generators, since mended: a header that is 256 or 512 too large reaches anything but status 3 only with format 1, ' +
    'because a set of more than 64 banks is refused behind the mutated check as well, and such headers were not drawn. ' +
    'Missed in 20 s without them; found after 7.0 s with them, which is the second row of this mutant',
};
