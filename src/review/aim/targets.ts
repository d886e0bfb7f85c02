/**
 * What a batch can meet of a patch: each block of code that begins or goes through a line that it touches, and each way out of
 * such a block. A line without code of its own stands for the statement before it, whose branches decide whether it runs.
 */
import { resolve } from 'node:path';
import type { Counted } from '../../counts/count-reader.ts';
import type { CountedModules } from '../../counts/counted-folder.ts';
import { countedLines } from '../exercise.ts';
import { flowOf, type FunctionId, type Graph, graphsOf } from '../../counts/graph.ts';
import { belowTree } from '../../counts/line-counts.ts';
import type { TouchedPlace } from '../touched.ts';

/** How often each target was met, by names such as `after kvm_hv_send_ipi 12` and `after kvm_hv_send_ipi 12-14`. */
export type Hits = ReadonlyMap<string, number>;

interface Both<Value> {
  readonly base: Value;
  readonly kernel: Value;
}
export type BothCounters = Both<readonly Counted[]>;
export type BothModules = { readonly before: CountedModules; readonly after: CountedModules };

/** A function with touched lines. */
interface TouchedFunction {
  readonly graph: Graph;
  readonly blocks: readonly number[];
}

export class Targets {
  readonly #functions: Both<readonly TouchedFunction[]>;

  constructor(places: readonly TouchedPlace[], { before, after }: BothModules) {
    this.#functions = {
      base: touchedFunctions(before, places, ({ removed }) => removed),
      kernel: touchedFunctions(after, places, ({ added }) => added),
    };
  }

  /** How many blocks there are. */
  get count(): number {
    const { base, kernel } = this.#functions;
    return [...base, ...kernel].reduce((sum, { blocks }) => sum + blocks.length, 0);
  }

  hits({ base, kernel }: BothCounters): Hits {
    const hits = new Map<string, number>();
    addHits(hits, 'before', this.#functions.base, base);
    addHits(hits, 'after', this.#functions.kernel, kernel);
    return hits;
  }
}

/** What came to `before`. */
export function newHits(before: Hits, now: Hits): Hits {
  return new Map([...now].map(([target, count]) => [target, count - (before.get(target) ?? 0)]));
}

function touchedFunctions(
  { notes, tree, realTree }: CountedModules,
  places: readonly TouchedPlace[],
  linesOf: (place: TouchedPlace) => readonly [number, number] | null,
): TouchedFunction[] {
  return notes.flatMap(({ note }) => {
    const { folder, graphs } = graphsOf(note);
    const pathOf = (file: string): string => belowTree(resolve(folder, file), [tree, realTree]);
    const touched = new Set<string>();
    for (const file of new Set(places.map((place) => place.file))) {
      const withCode = graphs.flatMap(({ blocks }) => blocks.flat()).filter((one) => pathOf(one.file) === file);
      if (withCode.length === 0) continue;
      const functions = graphs.filter((graph) => pathOf(graph.file) === file);
      const known = { lines: new Set(withCode.map(({ line }) => line)), functions };
      const ranges = places.flatMap((place) => (place.file === file ? [linesOf(place)] : []));
      for (const lines of ranges) {
        if (lines !== null) for (const line of countedLines(known, lines)) touched.add(`${file}:${line}`);
      }
    }
    return graphs.flatMap((graph) => {
      const blocks = [...graph.blocks.entries()].filter(([, lines]) =>
        lines.some(({ file, line }) => touched.has(`${pathOf(file)}:${line}`)),
      );
      return blocks.length === 0 ? [] : [{ graph, blocks: blocks.map(([index]) => index) }];
    });
  });
}

function addHits(
  hits: Map<string, number>,
  side: string,
  functions: readonly TouchedFunction[],
  counted: readonly Counted[],
): void {
  const add = (target: string, count: number): void => void hits.set(target, (hits.get(target) ?? 0) + count);
  for (const { graph, blocks } of functions) {
    const counters = counted.find((one) => isSame(one.counters, graph));
    if (counters === undefined) continue;
    const flow = flowOf(graph, counters.values);
    for (const block of blocks) {
      const name = `${side} ${graph.name} ${block}`;
      add(name, flow.blocks[block]!);
      const ways = [...graph.arcs.entries()].filter(([, { from, isFake }]) => from === block && !isFake);
      if (ways.length > 1) for (const [index, { to }] of ways) add(`${name}-${to}`, flow.arcs[index]!);
    }
  }
}

function isSame(left: FunctionId, right: FunctionId): boolean {
  const { ident, lineChecksum, cfgChecksum } = right;
  return left.ident === ident && left.lineChecksum === lineChecksum && left.cfgChecksum === cfgChecksum;
}
