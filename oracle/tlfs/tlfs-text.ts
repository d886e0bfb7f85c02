/** What TLFS permits and where KVM leaves it, as text. */
import { hvStatus } from '../../src/abi/hypercall.ts';
import { isHyperv } from '../call/caller.ts';
import { explainViolations } from './deviations.ts';
import { formatException, formatHex, formatResult } from '../names.ts';
import type { Difference, StepOutcome } from '../outcome.ts';
import { deliveryRules, type JudgedCall, type Permitted, type Violation } from './tlfs.ts';
import { tlfsRules } from './tlfs-rules.ts';

/** `HV_STATUS_SUCCESS (0), received by vCPU 1; or HV_STATUS_INVALID_PARAMETER (5)`. */
export function formatPermitted({ success, errors, receivers, fault }: Permitted): string {
  const singles = receivers.filter((group) => group.length === 1).flat();
  const shared = receivers.filter((group) => group.length > 1).map((group) => `one of vCPU ${group.join(', ')}`);
  const vcpus = [...(singles.length === 0 ? [] : [`vCPU ${singles.join(', ')}`]), ...shared].join(' and ');
  const delivered = vcpus === '' ? 'nobody receives' : `received by ${vcpus}`;
  const statuses = errors === null ? ['any error'] : errors.map((status) => formatResult(BigInt(status)));
  const error = [...statuses, ...(fault ? [formatException(udVector)] : [])].join(' or ');
  if (!success) return error;
  const fine = `${formatResult(BigInt(hvStatus.HV_STATUS_SUCCESS))}, ${delivered}`;
  return error === '' ? fine : `${fine}; or ${error}`;
}

/** #UD. */
const udVector = 6;

/** What KVM did with a call, in the same words. */
export function formatDone({ exception, result, receivers, exit, call }: StepOutcome): string {
  if (call === null) return 'the call is not made: the page holds no hypercall instruction';
  if (exit !== null) return `exit to the VMM (${exit})`;
  if (exception !== null && result === null) return formatException(exception);
  if (!isHyperv(call.caller)) return `RAX ${formatHex(result!)} of KVM's own hypercall interface`;
  if (result !== 0n && receivers.length === 0) return formatResult(result);
  const delivered = receivers.length === 0 ? 'nobody receives' : `received by vCPU ${receivers.join(', ')}`;
  return `${formatResult(result)}, ${delivered}`;
}

/** `permitted`, the names of the deviations, or what no deviation explains. */
export function formatVerdict(judged: JudgedCall): string {
  if (judged.violations.length === 0) return 'permitted';
  const { known, unlisted } = explainViolations(judged);
  return [
    ...known.map(({ id, name }) => `deviation ${name} (${id})`),
    ...unlisted.map((violation) => `NOT LISTED: ${unlistedSignature(judged, violation)}`),
  ].join(', ');
}

/** Begins the signatures of what leaves TLFS and is not listed. */
const tlfsPrefix = 'tlfs:';

/** Names a way of leaving TLFS: the rule that was left, how, and the rule by which KVM decided. */
export function unlistedSignature({ done }: JudgedCall, { kind, rule }: Violation): string {
  return `${tlfsPrefix}${rule}/${kind} by ${done.rule}`;
}

/** The citation of a rule by its name, as in the list or in a signature; null when TLFS has none of that name. */
export function tlfsSourceOf(rule: string): string | null {
  if (rule.startsWith(tlfsPrefix)) return tlfsSourceOf(rule.slice(tlfsPrefix.length));
  const found = tlfsRules.find(({ name }) => name === rule)?.source;
  return found ?? Object.entries(deliveryRules).find(([name]) => name === rule)?.[1] ?? null;
}

export function unlistedDifference({ step, permitted, done }: JudgedCall): Difference {
  return { step, vcpu: null, what: 'TLFS', expected: formatPermitted(permitted), observed: formatDone(done) };
}
