/**
 * Hypercall pages. What KVM put into one shows only when the script is executed, so the script has a branch for each
 * way to fill it.
 */
import { hypercallPagePatterns } from '../../guest/entry-image.ts';
import { hostOffset } from '../../guest/memory-map.ts';
import type { HypercallInstruction } from '../../guest/program.ts';
import type { Script } from '../../hand/script.ts';
import type { Read } from '../writer.ts';

/**
 * Adds operations for a call through the page at this address. `add` is given where the page's hypercall instruction is,
 * once for each way; one of them is executed at most. The reader gives null where the page begins in no such way.
 */
export function addForPage<Result>(
  script: Script,
  vm: number,
  page: bigint,
  native: HypercallInstruction,
  add: (instruction: number) => Read<Result>,
): Read<Result | null> {
  const reads = hypercallPagePatterns(native).map(({ bytes, offset }) =>
    script.branch('ifBytes', { vm, offset: hostOffset(page), bytes }, () => add(Number(page) + offset)),
  );
  return (record) => {
    let result: Result | null = null;
    for (const read of reads) if (record.u8() === 1) result = read(record);
    return result;
  };
}
