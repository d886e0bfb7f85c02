/** Counters of one kernel, read from its memory now and then; a kernel that dies and comes back begins at 0. */
import { counterBytes, type FunctionCounters } from './counters.ts';
import type { CountedModule, CountedModules } from './counted-folder.ts';
import { type ReadFile, readKernelMemory, readSegments, sectionAddress } from './kernel-memory.ts';

/** A function's counters and what they have come to. */
export interface Counted {
  readonly counters: FunctionCounters;
  readonly values: readonly bigint[];
}

export class CountReader {
  readonly #modules: readonly CountedModule[];
  /** What kernels that are gone had counted. */
  #gone: readonly Counted[];
  #current: readonly Counted[];
  #generation = 0;

  constructor({ modules }: CountedModules) {
    this.#modules = modules;
    this.#gone = modules.flatMap(({ counters }) => counters.map(zeros));
    this.#current = this.#gone;
  }

  /**
   * Reads all counters.
   *
   * @param generation changes when another kernel answers.
   * @throws KernelFailure, InfrastructureError as reading from the lab does; what was read before stays.
   */
  async read(readFile: ReadFile, generation: number): Promise<void> {
    const now: Counted[] = [];
    const segments = await readSegments(readFile);
    for (const module of this.#modules) now.push(...(await this.#readModule(readFile, segments, module)));
    if (generation !== this.#generation) this.#gone = sum(this.#gone, this.#current);
    this.#generation = generation;
    this.#current = now;
  }

  /** What all kernels together have counted up to the last reading of each. */
  get total(): readonly Counted[] {
    return sum(this.#gone, this.#current);
  }

  async #readModule(readFile: ReadFile, segments: Buffer, { name, counters }: CountedModule): Promise<Counted[]> {
    if (counters.length === 0) return [];
    const isLoaded = (await readFile(`/sys/module/${name}/initstate`, 0n, 16)).toString('latin1').startsWith('live');
    if (!isLoaded) return counters.map(zeros);
    const sections = new Map<string, { memory: Buffer; start: number }>();
    for (const section of new Set(counters.map((one) => one.section))) {
      const inside = counters.filter((one) => one.section === section);
      const start = Math.min(...inside.map(({ offset }) => offset));
      const end = Math.max(...inside.map(({ offset, count }) => offset + count * counterBytes));
      const address = (await sectionAddress(readFile, name, section)) + BigInt(start);
      sections.set(section, { memory: await readKernelMemory(readFile, segments, address, end - start), start });
    }
    return counters.map((one) => {
      const { memory, start } = sections.get(one.section)!;
      return { counters: one, values: valuesAt(memory, one.offset - start, one.count) };
    });
  }
}

function valuesAt(memory: Buffer, at: number, count: number): bigint[] {
  return Array.from({ length: count }, (_, index) => memory.readBigUInt64LE(at + index * counterBytes));
}

function zeros(counters: FunctionCounters): Counted {
  return { counters, values: Array.from({ length: counters.count }, () => 0n) };
}

function sum(left: readonly Counted[], right: readonly Counted[]): Counted[] {
  return left.map(({ counters, values }, place) => ({
    counters,
    values: values.map((value, index) => value + right[place]!.values[index]!),
  }));
}
