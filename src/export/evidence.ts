/** What a report rests on: the case run again on the kernel, and what that kernel and the lab are. */
import { existsSync, readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { faultMet } from '../campaign/target/emulator-faults.ts';
import { type Judgement, judgeObservation, prepare, type Prepared } from '../campaign/judgement.ts';
import { type RunView, viewObservation } from '../campaign/text/view.ts';
import type { Case } from '../case/case.ts';
import { KernelFailure, SkippedError } from '../errors.ts';
import { resolveKernel } from '../lab/kernel/kernels.ts';
import { type Lab, type LabOptions, openLab } from '../lab/lab.ts';
import { identify, type KernelIdentity } from '../review/kernel-identity.ts';
import { qemuText } from '../lab/emulator/qemu-emulator.ts';
import { ownVersion } from '../system/own-command.ts';

export interface Evidence {
  readonly prepared: Prepared;
  readonly kernel: KernelIdentity;
  /** /proc/version: release, compiler, build. */
  readonly kernelVersion: string;
  /** SHA-256 of the kernel's configuration; null where neither the kernel nor its folder has it. */
  readonly configHash: string | null;
  /** What built the modules that were given; null where the kernel's own ran, whose version names it. */
  readonly moduleCompiler: string | null;
  readonly cpu: string;
  readonly qemu: string;
  readonly tool: string;
  /** Of the last run that showed a problem, else of the last one. */
  readonly judgement: Judgement | { readonly class: 'oops' | 'warning' | 'hang'; readonly signature: string };
  readonly observed: RunView | null;
  /** Of a kernel that failed. */
  readonly console: string | null;
  readonly shown: number;
  readonly times: number;
}

const runsMax = { divergence: 10, failure: 3 };

/** Boots the kernel and replays the case in fresh VMs: ten times, or three where each time costs a boot. */
export async function gatherEvidence(value: Case, options: LabOptions): Promise<Evidence> {
  let lab = await openLab(options);
  try {
    const reason = faultMet(value, lab.facts);
    if (reason !== null) throw new SkippedError(reason);
    const prepared = prepare(value, lab.facts);
    const facts = await factsOf(lab, options);
    let last: Pick<Evidence, 'judgement' | 'observed' | 'console'> | null = null;
    let [shown, times, failures] = [0, 0, 0];
    while (times < runsMax.divergence && failures < runsMax.failure) {
      times++;
      const seen = await runOnce(lab, prepared);
      if (seen.observed === null) {
        failures++;
        await lab[Symbol.asyncDispose]();
        if (failures < runsMax.failure) lab = await openLab(options);
      }
      const isShown = problemOf(seen) !== null;
      if (isShown) shown++;
      if (isShown || last === null) last = seen;
    }
    return { prepared, ...facts, ...last!, shown, times };
  } finally {
    await lab[Symbol.asyncDispose]();
  }
}

async function runOnce(lab: Lab, prepared: Prepared): Promise<Pick<Evidence, 'judgement' | 'observed' | 'console'>> {
  try {
    const [observation] = await lab.run([prepared.program], { exact: true });
    const judgement = judgeObservation(prepared, observation!);
    return { judgement, observed: viewObservation(observation!), console: null };
  } catch (error) {
    if (!(error instanceof KernelFailure)) throw error;
    return { judgement: { class: error.kind, signature: error.fingerprint }, observed: null, console: error.console };
  }
}

type Facts = Pick<Evidence, 'kernel' | 'kernelVersion' | 'configHash' | 'moduleCompiler' | 'cpu' | 'qemu' | 'tool'>;

async function factsOf(lab: Lab, options: LabOptions): Promise<Facts> {
  const kernel = await resolveKernel(options.kernel, options);
  const config = await lab.readFile('/proc/config.gz');
  const file = join(options.kernel, '.config');
  const own = existsSync(file) ? createHash('sha256').update(readFileSync(file)).digest('hex') : null;
  return {
    kernel: identify(kernel, lab.facts.kernelRelease, options.kvmModules ?? null),
    kernelVersion: ((await lab.readFile('/proc/version')) ?? '').trim(),
    configHash:
      config === null
        ? own
        : createHash('sha256')
            .update(gunzipSync(Buffer.from(config, 'latin1')))
            .digest('hex'),
    moduleCompiler: options.kvmModules == null ? null : compilerOf(join(options.kvmModules, 'kvm.ko')),
    cpu: lab.facts.cpu,
    qemu: await qemuText(),
    tool: `hvipi ${ownVersion()}`,
  };
}

/** What the compiler wrote into a module (.comment): `GCC: (Debian 12.2.0-14+deb12u1) 12.2.0`. */
function compilerOf(path: string): string | null {
  if (!existsSync(path)) return null;
  return /(?:GCC: \([^)]*\) [\d.]+|clang version [\w.]+)/.exec(readFileSync(path, 'latin1'))?.[0] ?? null;
}

/** The problem in a few words: `divergence deliver/missing-interrupt`, or null when the kernel does as expected. */
export function problemOf({ judgement }: Pick<Evidence, 'judgement'>): string | null {
  if (judgement.class === 'match' || judgement.class === 'deviation') return null;
  return `${judgement.class} ${judgement.signature}`;
}
