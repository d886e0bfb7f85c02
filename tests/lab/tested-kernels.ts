/** Kernels on which the lab tests have to pass: those of the stable releases, and the newest. */
export const testedKernels = ['debian:6.1', 'debian:6.12', 'debian:7.3'] as const;
