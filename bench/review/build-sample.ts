/** A sample as two sets of modules, and a lab with one of them. */
import type { BuildPlace } from '../../src/build/mirror.ts';
import { Session } from '../../src/campaign/target/session.ts';
import { parseTarget } from '../../src/campaign/target/target.ts';
import { buildBoth, type PatchedModules } from '../../src/review/patched.ts';
import { patchOf } from './patch-of.ts';
import type { ReviewSample } from './sample.ts';

const signal = new AbortController().signal;

export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** @throws EditError, BuildError */
export async function buildSample(
  sample: Pick<ReviewSample, 'name' | 'subject' | 'edits'>,
  place: BuildPlace,
): Promise<PatchedModules> {
  const diff = await patchOf(sample, place.source.tree);
  return buildBoth(place, [{ from: sample.name, title: sample.subject, diff }], say, signal);
}

export function openWith(kvmModules: string, { kernel }: BuildPlace): Promise<Session> {
  return Session.open(parseTarget({ target: 'lab', kernel, kvmModules, install: true, say }), signal);
}
