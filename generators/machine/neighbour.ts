/** Second VMs of a host. A round has one or none; each case draws when it is there. */
import type fc from 'fast-check';
import { apicStates, irqchips } from '../../src/case/limits.ts';
import { type Neighbour, xenKinds } from '../../src/case/neighbour.ts';
import { among, choice, just, planOf, sometimes } from '../plan.ts';

/** A second VM as all cases of a round have it. */
export type NeighbourPlan = Omit<Neighbour, 'life'>;

const irqchip = among<Neighbour['irqchip']>(...irqchips, 'kernel');
const apic = among<Neighbour['apic']>(...apicStates, 'software-disabled', 'hardware-disabled');
const xen = among<Neighbour['xen']>(...xenKinds, 'none', 'none');
const oneInThree = sometimes(1, 3, just(true), false);
const often = sometimes(1, 2, just(true), false);

/** Draws second VMs. */
export const neighbourPlan = planOf<NeighbourPlan>((source) => {
  const drawnIrqchip = source.draw(irqchip);
  const [drawnApic, drawnXen] = [source.draw(apic), source.draw(xen)];
  const lacksHyperv = source.draw(oneInThree);
  const isBusy = source.draw(often);
  return {
    irqchip: drawnIrqchip,
    xen: drawnXen,
    hyperv: !lacksHyperv,
    apic: drawnIrqchip === 'none' ? 'x2apic' : drawnApic,
    busy: isBusy && !lacksHyperv,
  };
});

/**
 * When the second VM of a round is there. One that comes and goes takes as long as hundreds of calls; only a round that is patient
 * has some that are long gone.
 */
export function neighbourLifePlan(plan: NeighbourPlan | null, isPatient: boolean): fc.Arbitrary<Neighbour | null> {
  if (plan === null) return just(null);
  const neighbour = (life: Neighbour['life']): fc.Arbitrary<Neighbour> => just({ ...plan, life });
  return choice<Neighbour | null>(
    { weight: 32, arbitrary: neighbour('beside') },
    { weight: 16, arbitrary: just(null) },
    isPatient ? { weight: 3, arbitrary: neighbour('long-gone') } : { weight: 2, arbitrary: neighbour('gone') },
  );
}
