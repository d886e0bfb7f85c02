/** The report as SARIF 2.1.0, for code scanning: rules of the model, and a result for each bucket. */
import { kvmRules } from '../../oracle/call/rules.ts';
import { bucketText } from './bucket-text.ts';
import type { CampaignValue, ReportBucket } from './value.ts';

const schemaUri = 'https://json.schemastore.org/sarif-2.1.0.json';
/** Where the hypercalls are in a kernel tree. */
const kvmFile = 'arch/x86/kvm/hyperv.c';

export function sarifValue(value: CampaignValue): object {
  const classes = ['divergence', 'warning', 'oops', 'hang'].map((id) => ({
    id,
    shortDescription: { text: `${id} while a hypercall ran` },
  }));
  const rules = kvmRules.map(({ name, source }) => ({ id: name, shortDescription: { text: source } }));
  return {
    $schema: schemaUri,
    version: '2.1.0',
    runs: [
      {
        tool: { driver: { name: 'hvipi', rules: [...classes, ...rules] } },
        properties: {
          seed: value.campaign.seed,
          kernelRelease: value.kernelRelease,
          cases: value.cases,
          hypercalls: value.hypercalls,
        },
        results: value.buckets.filter(({ kind }) => kind !== 'trouble').map((bucket) => resultOf(value, bucket)),
      },
    ],
  };
}

function resultOf(value: CampaignValue, bucket: ReportBucket): object {
  const [rule] = bucket.signature.split('/');
  const isRule = bucket.class === 'divergence' && kvmRules.some(({ name }) => name === rule);
  const text = bucketText(value, bucket);
  const replay = text === null ? '' : `\nreplay: ${text.replay}`;
  const why = bucket.known === null ? 'known finding' : `known: ${bucket.known.commit}, ${bucket.known.release}`;
  return {
    ruleId: isRule ? rule : bucket.class,
    level: bucket.kind === 'finding' ? 'error' : bucket.kind === 'unstable' ? 'warning' : 'note',
    message: { text: `${bucket.class} ${bucket.signature}${replay}` },
    locations: [{ physicalLocation: { artifactLocation: { uri: kvmFile } } }],
    partialFingerprints: { 'hvipiBucket/v1': bucket.id },
    occurrenceCount: bucket.cases,
    ...(bucket.kind === 'known' ? { suppressions: [{ kind: 'external', justification: why }] } : {}),
  };
}
