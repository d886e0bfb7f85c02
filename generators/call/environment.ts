/** Ways to make a call: processor mode, CPL, hypercall page, instruction. */
import type fc from 'fast-check';
import type { CallStep } from '../../src/case/case.ts';
import { among, choice, integer, just, planOf, sometimes } from '../plan.ts';
import { oneofFeatures, type Swarm } from '../swarm.ts';
import {
  type Environment,
  flagsNamed,
  hasFlags,
  isRealMode,
  modeHasPage,
  opens,
  traps,
} from '../../src/case/steps/environment.ts';

/** An environment before it knows which hypercall pages there are. */
export interface EnvironmentPlan {
  readonly mode: Environment['mode'];
  readonly cpl: number;
  readonly way: 'bare' | 'page' | 'other';
  readonly rflags: Environment['rflags'];
  /** Which of the pages that the case has enabled, modulo their number. */
  readonly page: number;
}

const plainPlan: EnvironmentPlan = { mode: 'long', cpl: 0, way: 'bare', rflags: 'plain', page: 0 };
const compatPlan: EnvironmentPlan = { ...plainPlan, mode: 'compat' };

const someFlags = among<Environment['rflags']>('if', 'if', 'tf', 'if-tf');

/** Draws environments, most of them the plain one. */
export function environmentPlan(swarm: Swarm): fc.Arbitrary<EnvironmentPlan> {
  const mode = oneofFeatures<Environment['mode']>(swarm, {
    'mode.long': just('long'),
    'mode.compat': just('compat'),
    'mode.protected32': just('protected32'),
    'mode.unpaged32': just('unpaged32'),
    'mode.protected16': just('protected16'),
    'mode.real': just('real'),
  });
  const cpl = oneofFeatures(swarm, {
    'cpl.0': just(0),
    'cpl.1': just(1),
    'cpl.2': just(2),
    'cpl.3': just(3),
  });
  const way = oneofFeatures<EnvironmentPlan['way']>(swarm, {
    'way.bare': just('bare'),
    'way.page': just('page'),
    'way.otherOpcode': just('other'),
  });
  const page = integer(0, 7);
  const flags = sometimes<Environment['rflags']>(swarm.flagsPercent, 100, someFlags, 'plain');
  const other = planOf<EnvironmentPlan>((source) => ({
    mode: source.draw(mode),
    cpl: source.draw(cpl),
    way: source.draw(way),
    rflags: source.draw(flags),
    page: source.draw(page),
  }));
  const withFlags = planOf<EnvironmentPlan>((source) => ({ ...plainPlan, rflags: source.draw(someFlags) }));
  const dear = environmentPercent(swarm);
  const left = 100 * (100 - dear);
  const compat = swarm.compatPercent * (100 - dear);
  const flagged = Math.round((swarm.flagsPercent * (left - compat)) / 100);
  return choice(
    { weight: left - compat - flagged, arbitrary: just(plainPlan) },
    { weight: flagged, arbitrary: withFlags },
    { weight: compat, arbitrary: just(compatPlan) },
    { weight: 100 * dear, arbitrary: other },
  );
}

/** Where Xen hypercalls are intercepted, no call goes through the ring, so that another environment costs nothing more. */
function environmentPercent({ environmentPercent: usual, platform }: Swarm): number {
  return platform?.xen === true ? Math.max(usual, 50) : usual;
}

/** Whether a call is to go through a page, if there is one. */
export function wantsPage({ way, mode }: EnvironmentPlan): boolean {
  return way === 'page' && modeHasPage(mode);
}

/** Makes a call so; without a page that was enabled before, by a bare instruction, and with what of the flags it can have. */
export function setEnvironment(
  call: CallStep,
  plan: EnvironmentPlan,
  pages: readonly bigint[],
  canOpen: boolean,
): void {
  const { mode, cpl, way, page, rflags } = plan;
  const isThroughPage = pages.length > 0 && wantsPage(plan);
  call.mode = mode;
  call.cpl = isRealMode(mode) ? 0 : cpl;
  call.page = isThroughPage ? pages[page % pages.length]! : null;
  call.opcode = way === 'other' ? 'other' : 'native';
  if (hasFlags(call)) call.rflags = flagsNamed(opens({ rflags }) && canOpen, traps({ rflags }) && !isThroughPage);
}
