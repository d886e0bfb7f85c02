/**
 * What `review` is measured with: changes of KVM that were public, most of them taken back, as edits of Debian's 7.3
 * source, with what is true of them in the lab that reviews run in: an emulated AMD CPU without AVIC or, where the sample says
 * so, one of Intel's with APICv; no nested guests.
 */
import type { LabCpu } from '../../src/lab/lab-cpu.ts';
import type { Edit } from '../../src/system/edit.ts';

/** The source that all edits are of. */
export const sampleKernel = 'debian:7.3';

export const areas = [
  'IPI path',
  'LAPIC',
  'TLB flush',
  'SynIC, stimers',
  'PV EOI',
  'nested',
  'APICv',
  'offer',
] as const;

/**
 * What an honest review says: a guest sees a change; the kernel fails; no change, and all of it ran; no change in what ran,
 * and some did not; nothing, since nothing that is touched ran.
 */
export const answers = ['changed', 'failing', 'unchanged', 'partly', 'not-exercised'] as const;
export type Answer = (typeof answers)[number];

export interface ReviewSample {
  readonly name: string;
  readonly area: (typeof areas)[number];
  /** Where it was public: a commit, or the month of its thread. */
  readonly origin: string;
  /** CPU of the lab; default `amd`. */
  readonly cpu?: LabCpu;
  /** Subject of the patch. */
  readonly subject: string;
  readonly edits: readonly Edit[];
  readonly answer: Answer;
  /** Why that is the answer. */
  readonly truth: string;
  /** Words that the text must have. */
  readonly says?: RegExp;
}

/** Edits of one file. */
export function editor(file: string): (find: string, replace: string) => Edit {
  return (find, replace) => ({ file, find, replace });
}
