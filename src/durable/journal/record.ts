/**
 * The lines of a journal. A span commits batches: what happened in them counts only when their span is in the journal,
 * so a campaign that was killed runs the batches behind the last span once more, and nothing counts twice.
 */
import { z } from 'zod';

export const journalSchemaName = 'hvipi/journal/1';

const count = z.number().int().min(0);
const counts = z.record(z.string(), count);
/** Common to all lines: position in the journal, from 0, and time in ISO 8601. */
const line = { seq: count, at: z.string() };
const failureClass = z.enum(['warning', 'oops', 'hang']);
const findingClass = z.enum(['divergence', 'warning', 'oops', 'hang']);

const shardSchema = z.strictObject({ index: count, count: z.number().int().min(1) });

/** What decides the stream of cases and the verdicts: shards of one campaign differ in `shard.index` alone. */
const campaignSchema = z.strictObject({
  seed: z.string(),
  contract: z.enum(['kvm', 'tlfs']),
  target: z.string(),
  /** Of the lab; journals of older versions do not say. */
  cpu: z.string().default('amd'),
  /** Of the lab; null for other targets. */
  kernel: z.string().nullable(),
  kvmModules: z.string().nullable(),
  /** Hash over the modules of `kvmModules`. */
  kvmModulesHash: z.string().nullable(),
  /** Parameters of KVM's modules, or null; journals of older versions do not say. */
  kvmOptions: z.string().nullable().default(null),
  /** Hash over the saved cases that run first, or null when none do. */
  corpusHash: z.string().nullable(),
  /** Generated cases of all shards together, or null when only other limits end the campaign. */
  runs: count.nullable(),
  shard: shardSchema,
});

const limitsSchema = z.strictObject({
  /** Seconds of work in all, over every resume. */
  seconds: z.number().nullable(),
  calls: count.nullable(),
  findings: count.nullable(),
  /** Bytes of the campaign's folder, and of this process's resident memory. */
  diskBytes: count.nullable(),
  memoryBytes: count.nullable(),
  /** Seconds without new coverage. */
  stableSeconds: z.number().nullable(),
});

export const endings = [
  'time',
  'runs',
  'calls',
  'findings',
  'disk',
  'memory',
  'stable',
  'interrupted',
  'infrastructure',
] as const;

const recordSchema = z.discriminatedUnion('type', [
  z.strictObject({
    ...line,
    type: z.literal('start'),
    schema: z.literal(journalSchemaName),
    /** Names this journal among all of the campaign. */
    run: z.string().regex(/^[0-9a-f]{12}$/),
    campaign: campaignSchema,
    limits: limitsSchema,
  }),
  /** The target opened, at the start and after each resume. */
  z.strictObject({
    ...line,
    type: z.literal('open'),
    host: z.string(),
    pid: count,
    kernelRelease: z.string(),
    cpu: z.string(),
    bootSeconds: z.number(),
    /** Bytes of an unfinished line that were cut off the journal before. */
    tornBytes: count,
  }),
  z.strictObject({
    ...line,
    type: z.literal('span'),
    /** Seconds of work in all so far. */
    seconds: z.number(),
    /** Where the stream goes on: the next batch of the corpus, the next generated one. */
    nextCorpus: count,
    nextBatch: count,
    batches: count,
    cases: count,
    corpusCases: count,
    hypercalls: count,
    /** Sum of the hashes of the batches, modulo 2^128. */
    hash: z.string(),
    /** Calls by `rule|dimension`. */
    pairs: counts,
    /** Deliveries by VP index. */
    deliveries: counts,
    /** Cases by bucket and by name of deviation. */
    hits: counts,
    deviations: counts,
    memoryBytes: count,
  }),
  /** A problem of a new bucket, before it is shrunk. */
  z.strictObject({
    ...line,
    type: z.literal('sighting'),
    bucket: z.string(),
    class: findingClass,
    signature: z.string(),
    stable: z.boolean(),
    case: z.string(),
    path: z.string(),
  }),
  /** A finding was saved; `isWhole` is false when the shrinking was cut short. */
  z.strictObject({
    ...line,
    type: z.literal('finding'),
    bucket: z.string(),
    class: findingClass,
    signature: z.string(),
    stable: z.boolean(),
    file: z.string(),
    case: z.string(),
    isWhole: z.boolean(),
  }),
  /** An executor died: of a failure of the kernel, or of our own. */
  z.strictObject({
    ...line,
    type: z.literal('death'),
    kind: z.union([failureClass, z.literal('infrastructure')]),
    signature: z.string(),
    /** Hash of the console's text under `console/`. */
    console: z.string().nullable(),
  }),
  /** Something outside the kernel failed, and the campaign waited for it. */
  z.strictObject({ ...line, type: z.literal('trouble'), what: z.enum(['disk', 'open']), message: z.string() }),
  z.strictObject({
    ...line,
    type: z.literal('end'),
    ending: z.enum(endings),
    error: z.string().nullable(),
    seconds: z.number(),
  }),
]);

export type JournalRecord = z.output<typeof recordSchema>;
export type RecordOf<Type extends JournalRecord['type']> = Extract<JournalRecord, { type: Type }>;
export type CampaignIdentity = z.output<typeof campaignSchema>;
export type Limits = z.output<typeof limitsSchema>;
export type Shard = z.output<typeof shardSchema>;
export type EndingName = (typeof endings)[number];

/** A record without what the journal adds itself. */
export type Entry = { [Type in JournalRecord['type']]: Omit<RecordOf<Type>, 'seq' | 'at'> }[JournalRecord['type']];

/** The record of one line, or the reason why it is none. */
export function parseRecord(text: string): JournalRecord | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'not JSON';
  }
  const result = recordSchema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  return `${issue.path.join('.') || 'record'}: ${issue.message}`;
}
