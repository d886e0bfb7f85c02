/**
 * Where generation is aimed: what a patch touches, by the names of functions and by the words on changed lines, turned
 * into features of a swarm that weigh more. Every other batch is drawn as usual, for what nobody thought of.
 */
import fc from 'fast-check';
import { batchSeed } from '../../generators/batch.ts';
import { caseArbitrary } from '../../generators/case.ts';
import { drawSwarm, type Feature, featureWeights, type Swarm } from '../../generators/swarm.ts';
import { type Batch, batchesOf, batchSize, type StreamOptions } from '../campaign/batches.ts';
import type { TouchedPlace } from './touched.ts';

interface AimRule {
  readonly pattern: RegExp;
  readonly features: readonly Feature[];
}

/** What the words of KVM's source have to do with, by our names. */
const aimRules: readonly AimRule[] = [
  {
    pattern: /valid_bank_mask|hweight|sparse_bank|var_cnt|VARHEAD/,
    features: [
      'break.variableHeader',
      'break.mask',
      'odd.emptyBanks',
      'odd.moveBank',
      'odd.maskAndHeader',
      'set.spread',
      'call.sendIpiEx',
    ],
  },
  {
    pattern: /all_cpus|HV_GENERIC_SET|vp_set\.format/,
    features: ['odd.all', 'odd.format', 'odd.emptyBanks', 'call.sendIpiEx'],
  },
  {
    pattern: /xmm|sse128|consumed_xmm|->fast|\.fast|FAST_BIT/,
    features: ['form.fast', 'call.sendIpiEx', 'set.spread', 'odd.emptyBanks'],
  },
  {
    pattern: /ingpa|outgpa|kvm_read_guest|data_offset/,
    features: ['form.slow', 'break.address', 'odd.address', 'odd.outputAddress', 'odd.tail'],
  },
  { pattern: /vector|HV_IPI_(?:LOW|HIGH)_VECTOR/, features: ['break.vector', 'vector.edge'] },
  { pattern: /\brep\b|rep_cnt|rep_idx|REP_/, features: ['break.repCount', 'break.repStart'] },
  { pattern: /RSVD|reserved/, features: ['break.reservedBits', 'odd.padding', 'odd.targetVtl'] },
  {
    pattern: /vp_index|vpindex|KVM_MAX_VCPUS|vcpu_idx|get_vcpu_by/,
    features: ['layout.permuted', 'layout.sparse', 'layout.doubled', 'set.edge', 'set.nearVcpu'],
  },
  {
    pattern: /sparse_set|send_ipi_to_many/,
    features: ['set.spread', 'set.bank', 'set.edge', 'layout.sparse', 'layout.mixed', 'call.sendIpiEx'],
  },
  {
    pattern: /apic|lapic|irr|\bisr\b|ppr|eoi/i,
    features: ['apic.xapic', 'apic.softwareDisabled', 'apic.hardwareDisabled', 'eoi.apic', 'vector.repeated'],
  },
  { pattern: /HVCALL_SEND_IPI\b|cpu_mask/, features: ['call.sendIpi'] },
  { pattern: /HVCALL_SEND_IPI_EX|send_ipi_ex/, features: ['call.sendIpiEx'] },
  { pattern: /switch \(hc|default:|INVALID_HYPERCALL_CODE/, features: ['break.callCode'] },
];
/** How much more an aimed feature weighs than usual. */
const aimFactor = 4;

/** The features that a patch is likely to show in; none when it touches nothing that the calls go through. */
export function aimAt(places: readonly TouchedPlace[]): Feature[] {
  const text = places.map((place) => `${place.function}\n${place.text}`).join('\n');
  const features = aimRules.flatMap((rule) => (rule.pattern.test(text) ? rule.features : []));
  return [...new Set(features)];
}

/** The corpus, then usual and aimed batches in turn. The same options give the same batches. */
export function* aimedBatches(options: StreamOptions, features: readonly Feature[]): Generator<Batch> {
  for (const batch of batchesOf(options)) {
    yield batch;
    if (batch.number !== null && features.length > 0) yield aimedBatch(options.seed, batch.number, features);
  }
}

function aimedBatch(campaignSeed: string, number: number, features: readonly Feature[]): Batch {
  const name = `${campaignSeed}/aimed`;
  // Half of the features at a time, so that one does not hide another.
  const chosen = features.filter((feature) => (batchSeed(`${name}/${feature}`, number) & 1) === 0);
  const swarm = aimedSwarm(drawSwarm(batchSeed(`${name}/swarm`, number)), chosen);
  const cases = fc.sample(caseArbitrary(swarm), { seed: batchSeed(name, number), numRuns: batchSize });
  return { number, origin: 'drawn', cases, placeOf: (index) => ({ path: `aimed ${number}:${index}`, drawn: null }) };
}

function aimedSwarm(swarm: Swarm, features: readonly Feature[]): Swarm {
  const aimed = features.map((feature) => [feature, aimFactor * featureWeights[feature]] as const);
  return { ...swarm, weights: { ...swarm.weights, ...Object.fromEntries(aimed) } };
}
