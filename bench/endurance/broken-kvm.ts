/** A KVM that fails in three ways, for the runs that show that a campaign survives it and blames the right case. */
import { type Mutant, mutantsOf } from '../mutants/mutant.ts';

/** What a legal call with one of these vectors does to the kernel. */
export const failingVectors = { oops: 0x42, hang: 0x44, agentDeath: 0x47 } as const;

const send = '\tif (all_cpus)\n\t\tkvm_hv_send_ipi_to_many';

export const [brokenKvm] = mutantsOf('hyperv.c', [
  {
    name: 'endurance-three-failures',
    find: send,
    replace: [
      `\tif (vector == ${failingVectors.oops})\n\t\t*(volatile int *)8 = 1;`,
      `\twhile (vector == ${failingVectors.hang})\n\t\tcpu_relax();`,
      `\tif (vector == ${failingVectors.agentDeath})\n\t\tsend_sig(SIGKILL, current, 0);`,
      send,
    ].join('\n'),
    mechanism: 'one vector is an oops, one an endless loop, one kills the process that runs the guest',
    grade: 'hard',
    needs: 'one of three vectors',
    expect: 'oops',
  },
]) as [Mutant];
