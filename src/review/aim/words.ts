/**
 * Where generation is aimed: what a patch touches, by the names of functions and by the words on changed lines, turned
 * into features of a swarm that weigh more and dials that are turned up. Every other batch is drawn as usual, for what
 * nobody thought of.
 */
import { basename } from 'node:path';
import fc from 'fast-check';
import { batchSeed } from '../../../generators/batch.ts';
import { caseArbitrary } from '../../../generators/case.ts';
import { type PlatformPlan, platformPlan } from '../../../generators/machine/platform.ts';
import { drawSwarm, type Feature, featureWeights, type Swarm } from '../../../generators/swarm.ts';
import { type Batch, batchesOf, sizeOfBatch, type StreamOptions } from '../../campaign/stream/batches.ts';
import type { TouchedPlace } from '../touched.ts';

/** What a swarm has besides the weights of its features: how many of its cases get to see something at all. */
const dials = {
  /** Calls from other modes and CPLs, through the page, with the other instruction. */
  entries: (swarm) => ({ environmentPercent: Math.max(swarm.environmentPercent, 40) }),
  /** Steps between calls that change the machine. */
  changes: (swarm) => ({ changePercent: Math.max(swarm.changePercent, 30) }),
  noGuestOsId: () => ({ noGuestOsIdPercent: 25 }),
  running: () => ({ countedPercent: 80 }),
  /** vCPUs whose CPUID lacks something, three of four of them enforced. */
  cpuid: (_, seed) => ({ platform: drawPlatform(seed) }),
  noLapic: (_, seed) => ({ platform: { ...drawPlatform(seed), irqchip: 'none' } }),
  splitIrqchip: (_, seed) => ({ platform: { ...drawPlatform(seed), irqchip: 'split' } }),
  xen: (_, seed) => ({ platform: { ...drawPlatform(seed), xen: true } }),
} satisfies Record<string, (swarm: Swarm, seed: number) => Partial<Swarm>>;

/** A feature that weighs more, or a dial that is turned up. */
export type Aim = Feature | keyof typeof dials;

interface AimRule {
  readonly pattern: RegExp;
  readonly aims: readonly Aim[];
}

/** What the words of KVM's source have to do with, by our names. */
const aimRules: readonly AimRule[] = [
  {
    pattern: /valid_bank_mask|hweight|sparse_bank|var_cnt|VARHEAD/,
    aims: [
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
    aims: ['odd.all', 'odd.format', 'odd.emptyBanks', 'call.sendIpiEx'],
  },
  {
    pattern: /xmm|sse128|->fast|\.fast|FAST_BIT/,
    aims: ['form.fast', 'call.sendIpiEx', 'set.spread', 'odd.emptyBanks'],
  },
  {
    pattern: /ingpa|outgpa|kvm_read_guest|data_offset/,
    aims: ['form.slow', 'break.address', 'odd.address', 'odd.outputAddress', 'odd.tail'],
  },
  { pattern: /vector|HV_IPI_(?:LOW|HIGH)_VECTOR/, aims: ['break.vector', 'vector.edge'] },
  { pattern: /\brep\b|rep_cnt|rep_idx|REP_/, aims: ['break.repCount', 'break.repStart'] },
  { pattern: /RSVD|reserved/, aims: ['break.reservedBits', 'odd.padding', 'odd.targetVtl'] },
  {
    pattern: /vp_index|vpindex|VP_INDEX|KVM_MAX_VCPUS|vcpu_idx|get_vcpu_by/,
    aims: [
      'layout.permuted',
      'layout.sparse',
      'layout.doubled',
      'set.edge',
      'set.nearVcpu',
      'change.vpIndex',
      'changes',
    ],
  },
  {
    pattern: /sparse_set|send_ipi_to_many/,
    aims: ['set.spread', 'set.bank', 'set.edge', 'layout.sparse', 'layout.mixed', 'call.sendIpiEx'],
  },
  {
    pattern: /apic|\birr\b|\bisr\b|ppr|tpr|eoi/i,
    aims: [
      'apic.xapic',
      'apic.softwareDisabled',
      'apic.hardwareDisabled',
      'eoi.apic',
      'vector.repeated',
      'preset.tpr',
      'preset.irr',
      'preset.isr',
      'change.apic',
      'changes',
      'running',
    ],
  },
  {
    pattern: /pv_eoi|APIC_ASSIST|assist_page|PV_EOI/i,
    aims: ['eoi.assist', 'act.eoi', 'vector.repeated', 'running'],
  },
  {
    pattern: /auto_eoi|synic|sint\b|stimer/i,
    aims: ['eoi.hvMsr', 'eoi.none', 'act.eoi', 'vector.repeated', 'running'],
  },
  {
    pattern: /mp_state|accept_events|vcpu_reset|INIT_RECEIVED/,
    aims: ['idle.uninitialized', 'idle.initReceived', 'change.init', 'changes'],
  },
  { pattern: /lapic_in_kernel|irqchip_in_kernel/, aims: ['noLapic'] },
  { pattern: /irqchip_split/, aims: ['splitIrqchip'] },
  {
    pattern: /64_bit|long_mode|kvm_r[a-ds][xi]_(?:read|write)|hypercall_set_result/,
    aims: ['entries', 'mode.compat', 'mode.protected32', 'mode.unpaged32', 'mode.protected16'],
  },
  {
    pattern: /get_cpl|protmode|UD_VECTOR|queue_exception|skip_emulated/,
    aims: ['entries', 'cpl.1', 'cpl.2', 'cpl.3', 'mode.real'],
  },
  { pattern: /fix_hypercall|emulate\.c|em_hypercall/, aims: ['entries', 'way.otherOpcode'] },
  {
    pattern: /MSR_HYPERCALL|patch_hypercall|hv_hypercall\b|set_msr_pw/,
    aims: ['entries', 'way.page', 'changes', 'change.hypercall'],
  },
  {
    pattern: /guest_os_id|GUEST_OS_ID|hypercall_enabled|emulate_hypercall/,
    aims: ['noGuestOsId', 'changes', 'change.guestOsId'],
  },
  {
    pattern: /cpuid|hypercall_access|CLUSTER_IPI|EX_PROCESSOR_MASKS|XMM_INPUT|ACCESS_DENIED|hyperv_enabled/i,
    aims: ['cpuid', 'form.fast'],
  },
  { pattern: /xen/i, aims: ['xen', 'entries', 'way.page', 'noGuestOsId'] },
  { pattern: /HVCALL_SEND_IPI\b|cpu_mask/, aims: ['call.sendIpi'] },
  { pattern: /HVCALL_SEND_IPI_EX|send_ipi_ex/, aims: ['call.sendIpiEx'] },
  { pattern: /switch \(hc|default:|INVALID_HYPERCALL_CODE|HV_EXT_CALL|EXIT_HYPERV/, aims: ['break.callCode'] },
];
/** How much more an aimed feature weighs than usual. */
const aimFactor = 4;

/** What a patch is likely to show in; nothing when it touches nothing that the calls go through. */
export function aimAt(places: readonly TouchedPlace[]): Aim[] {
  const text = places.map((place) => [basename(place.file), place.function, place.text].join('\n')).join('\n');
  const aims = aimRules.flatMap((rule) => (rule.pattern.test(text) ? rule.aims : []));
  return [...new Set(aims)];
}

/** The corpus, then usual and aimed batches in turn. The same options give the same batches. */
export function* aimedBatches(options: StreamOptions, aims: readonly Aim[]): Generator<Batch> {
  for (const batch of batchesOf(options)) {
    yield batch;
    if (batch.number !== null && aims.length > 0) yield aimedBatch(options.seed, batch.number, aims);
  }
}

function aimedBatch(campaignSeed: string, number: number, aims: readonly Aim[]): Batch {
  const name = `${campaignSeed}/aimed`;
  // Half of them at a time, so that one does not hide another.
  const chosen = aims.filter((aim) => (batchSeed(`${name}/${aim}`, number) & 1) === 0);
  const swarm = aimedSwarm(batchSeed(`${name}/swarm`, number), chosen);
  const cases = fc.sample(caseArbitrary(swarm), { seed: batchSeed(name, number), numRuns: sizeOfBatch(number) });
  return { number, origin: 'drawn', cases, placeOf: (index) => ({ path: `aimed ${number}:${index}` }) };
}

function aimedSwarm(seed: number, aims: readonly Aim[]): Swarm {
  const swarm = drawSwarm(seed);
  const aimed = aims.flatMap((aim) => (isDial(aim) ? [] : [[aim, aimFactor * featureWeights[aim]]]));
  const turned = aims.flatMap((aim) => (isDial(aim) ? [dials[aim](swarm, seed)] : []));
  const weights: Swarm['weights'] = { ...swarm.weights, ...Object.fromEntries(aimed) };
  return Object.assign({ ...swarm, weights }, ...turned) as Swarm;
}

function isDial(aim: Aim): aim is keyof typeof dials {
  return aim in dials;
}

function drawPlatform(seed: number): PlatformPlan {
  return fc.sample(platformPlan, { seed, numRuns: 1 })[0]!;
}
