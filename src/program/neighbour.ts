/** A neighbour as a program: its machine, and the call that a busy one makes again and again. */
import { xenHypervBit } from '../abi/hypercall.ts';
import { makeCase, makeStep, type VcpuSetup } from '../case/case.ts';
import { defaultGuestOsId } from '../case/machine.ts';
import type { Neighbour } from '../case/neighbour.ts';
import { encodeCase } from './encode.ts';
import type { Program } from './program.ts';

const vector = 0xe1;

/** To all of its vCPUs; with the mark of a Hyper-V call, so that nobody's Xen changes who answers. */
const call = makeStep({ do: 'send-ipi', fast: true, vector, targets: [0, 1], rax: BigInt(xenHypervBit) });

const known = new Map<string, Program>();

/** Neighbours that differ in `life` alone are one program. */
export function neighbourProgram({ irqchip, xen, hyperv, apic, busy }: Neighbour): Program {
  const key = [irqchip, xen, hyperv, apic, busy].join(' ');
  let program = known.get(key);
  if (program === undefined) {
    const lacks: VcpuSetup['lacks'] = hyperv ? [] : ['hyperv'];
    const machine = { irqchip, xen: xen === 'flag' ? xen : xen === 'msr', guestOsId: hyperv ? defaultGuestOsId : 0n };
    const vcpus = [
      { vpIndex: 0, lacks },
      { vpIndex: 1, lacks, apic },
    ];
    program = encodeCase(makeCase(vcpus, busy ? [call] : [], machine));
    known.set(key, program);
  }
  return program;
}
