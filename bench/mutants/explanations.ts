/** Why a mutant was missed, by name: what of generators, model or observation would have to be different. */
export const explanations: Readonly<Record<string, string>> = {};
