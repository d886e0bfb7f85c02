/** A batch as one script: its cases, the functions that read them, and what was read. */
import { InfrastructureError } from '../errors.ts';
import { type CaseRecord, casesOfRecord, RecordEnd } from '../hand/record.ts';
import { keptCase, Script } from '../hand/script.ts';
import { requestName } from '../hand/uapi.ts';
import type { Read } from '../machine/writer.ts';
import type { MemoryChange, Observation } from '../program/observation.ts';

interface Written {
  /** The program's place in its batch; null for what is done between programs. */
  readonly index: number | null;
  readonly read: Read<void>;
}

/** How a batch ended, besides what was observed. */
export interface DraftEnd {
  /** Whether a program made no exit: nothing behind it was run. */
  readonly isEndless: boolean;
  /** Whether all went as written. Otherwise it is not known what is there in the hand. */
  readonly isDone: boolean;
}

export class Draft {
  readonly script = new Script();
  readonly #observations: (Observation | undefined)[];
  readonly #cases: Written[] = [];
  /** Changes of memory that no program is known to have made. */
  readonly #stray: MemoryChange[] = [];

  /** @param observations by place in the batch; those that are read are put there. */
  constructor(observations: (Observation | undefined)[]) {
    this.#observations = observations;
  }

  /**
   * Adds a case.
   *
   * @param index of its program; null for what is done between programs.
   * @param add writes its operations, and returns what reads them.
   */
  add(index: number | null, add: () => Read<void>): void {
    this.script.case(this.#cases.length);
    this.#cases.push({ index, read: add() });
  }

  observe(index: number, observation: Observation): void {
    this.#observations[index] = observation;
  }

  /** Memory that a program changed. */
  addMemory(index: number, memory: readonly MemoryChange[]): void {
    const observation = this.#observations[index];
    if (observation === undefined || memory.length === 0) return;
    this.#observations[index] = { ...observation, memory: [...observation.memory, ...memory] };
  }

  addStray(memory: readonly MemoryChange[]): void {
    this.#stray.push(...memory);
  }

  /** @throws InfrastructureError for an ioctl that failed, or a record that ends too early. */
  read(record: Buffer): DraftEnd {
    const endings = new Set<CaseRecord['ending']>();
    for (const each of casesOfRecord(record)) {
      if (each.number === keptCase) continue;
      endings.add(each.ending);
      if (each.ending === 'failed') throw failureOf(each);
      if (each.ending !== 'skipped') readCase(this.#cases[each.number]!, each);
    }
    // A change of memory that shows only behind a batch cannot be assigned to a program: it shows at each of them.
    for (const { index } of this.#cases) if (index !== null) this.addMemory(index, this.#stray);
    return { isEndless: endings.has('endless'), isDone: [...endings].every((ending) => ending === 'done') };
  }
}

/** What a case recorded. One that ended early is a program's; what is between programs has nothing to tell then. */
function readCase({ index, read }: Written, { reader, ending }: CaseRecord): void {
  try {
    read(reader);
  } catch (error) {
    if (!(error instanceof RecordEnd)) throw error;
    if (index !== null) throw new InfrastructureError(`the hand's record ends too early (${ending})`);
  }
}

function failureOf({ reader }: CaseRecord): InfrastructureError {
  const { request, errno } = reader.failure();
  return new InfrastructureError(`${requestName(request)} failed with errno ${errno}`);
}
