/**
 * The calls of one phase of a concurrent program race. This is what they send to each vCPU, whatever the interleaving.
 */
import { runsMeanwhile } from '../../src/case/limits.ts';
import type { ProgramOf, Program } from '../../src/program/program.ts';
import { decideMsr, type MsrState, vpIndexOf } from '../msr.ts';
import type { Leeway } from '../outcome.ts';

export class Phase {
  /** VP indexes that the vCPUs may have during the phase: as it begins, and each as a write makes it. */
  readonly #views: readonly (readonly number[])[];
  readonly #program: Program;
  /** Of each vCPU, how often a vector can arrive at most, which were sent to it perhaps, and which for certain. */
  readonly #most: Map<number, number>[];
  readonly #sent: Set<number>[];
  readonly #certain: Set<number>[];
  readonly #pending: readonly (readonly number[])[];

  /**
   * @param first index of the phase's first step.
   * @param pending vectors that were pending at each vCPU before.
   */
  constructor(
    program: Program,
    first: number,
    vpIndexes: readonly number[],
    state: MsrState,
    pending: readonly (readonly number[])[],
  ) {
    this.#program = program;
    this.#views = viewsOf(writesFrom(program, first), vpIndexes, state);
    this.#most = pending.map((vectors) => new Map(vectors.map((vector) => [vector, 1])));
    this.#sent = pending.map(() => new Set());
    this.#certain = pending.map(() => new Set());
    this.#pending = pending;
  }

  /**
   * Notes a call and returns who gets it for certain.
   *
   * @param select positions that the call reaches if these are the VP indexes.
   */
  send(vector: number, select: (vpIndexes: readonly number[]) => readonly number[]): readonly number[] {
    const [first, ...others] = this.#views.map(select);
    const certain = first!.filter((position) => others.every((reached) => reached.includes(position)));
    for (const position of new Set([...first!, ...others.flat()])) {
      const most = this.#most[position]!;
      most.set(vector, (most.get(vector) ?? 0) + 1);
      this.#sent[position]!.add(vector);
    }
    for (const position of certain) this.#certain[position]!.add(vector);
    return certain;
  }

  /** @param takes whether a vCPU takes a vector when it is pending. */
  leeway(takes: (position: number, vector: number) => boolean): Leeway[] {
    return this.#program.vcpus.map((vcpu, position) => {
      const isRunning = runsMeanwhile(vcpu);
      const sent = [...this.#most[position]!];
      const uncertain = [...this.#sent[position]!].filter((vector) => !this.#certain[position]!.has(vector));
      const taken = sent.filter(([vector]) => takes(position, vector));
      return {
        // What is pending already is not pending twice: it is taken once by a vCPU that does not run meanwhile.
        most: new Map(taken.map(([vector, count]) => [vector, isRunning ? count : 1])),
        maybe: uncertain.filter((vector) => !this.#pending[position]!.includes(vector)),
        maybeAgain: uncertain.filter((vector) => this.#pending[position]!.includes(vector)),
        isOrdered: !isRunning,
      };
    });
  }
}

function writesFrom({ steps }: Program, first: number): ProgramOf<'write-msr'>[] {
  const end = steps.findIndex(({ kind }, index) => index >= first && kind === 'run');
  return steps.slice(first, end === -1 ? undefined : end).filter((step) => step.kind === 'write-msr');
}

/**
 * KVM reads the VP index of each vCPU by itself (kvm_hv_send_ipi_to_many), so whether a call reaches a vCPU depends on
 * that one's index alone: it is enough to look at each value once.
 */
function viewsOf(
  writes: readonly ProgramOf<'write-msr'>[],
  vpIndexes: readonly number[],
  state: MsrState,
): (readonly number[])[] {
  const views = [vpIndexes];
  for (const write of writes) {
    if (decideMsr(write, state).effect !== 'vp-index') continue;
    views.push(views.at(-1)!.with(write.vcpu, vpIndexOf(write.value)));
  }
  return views;
}
