/** Guest physical addresses by the place that they are in: the programs have the arena at different ones. */
import { arenaStart, ramEnd, romEnd, romStart } from '../../case/memory.ts';
import { hex } from './text.ts';

/** Addresses behind RAM up to here are meant as such; beyond, as numbers. */
const nearMax = 0x100_0000n;

export function address(gpa: bigint): string {
  if (gpa >= arenaStart && gpa < ramEnd) return place('ARENA', gpa - arenaStart);
  if (gpa >= romStart && gpa < romEnd) return place('ROM', gpa - romStart);
  return gpa >= ramEnd && gpa < nearMax ? place('RAM_END', gpa - ramEnd) : hex(gpa);
}

function place(name: string, offset: bigint): string {
  return offset === 0n ? name : `${name} + ${hex(offset)}`;
}
