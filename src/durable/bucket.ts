/** What makes two problems the same: class, signature, and whether the case alone shows it. */
import type { FindingClass } from '../campaign/judgement.ts';
import { agentDeath } from '../campaign/target/session.ts';
import { shortHash } from './journal/folder.ts';
import type { KnownFinding } from './known.ts';

/** `trouble` is the death of our own hand, which is no finding. */
export type BucketKind = 'finding' | 'unstable' | 'known' | 'trouble';

export interface BucketKey {
  readonly class: FindingClass;
  readonly signature: string;
  readonly stable: boolean;
}

/** Name of a bucket: the same on every machine. */
export function bucketId({ class: kind, signature, stable }: BucketKey): string {
  return shortHash(`${stable ? '' : 'unstable '}${kind} ${signature}`);
}

export function bucketKind(key: BucketKey, known: KnownFinding | null): BucketKind {
  if (key.signature.startsWith(agentDeath)) return 'trouble';
  if (known !== null) return 'known';
  return key.stable ? 'finding' : 'unstable';
}
