/** Numbers where bugs are: edges taken from the layouts, values beside powers of two, and uniform ones between. */
import fc from 'fast-check';
import { HV_IPI_HIGH_VECTOR, HV_IPI_LOW_VECTOR, type controlWord } from '../src/abi/hypercall.ts';
import { edgesOf, type Layout, maxOf, reservedBitsOf } from '../src/abi/layout.ts';
import { caseLimits } from '../src/case/limits.ts';
import { among, choice, evenly, integer, planOf } from './plan.ts';

/** The vector that the kernel's own selftest sends; where nothing else is wanted it is the simplest one. */
export const simplestVector = 0xfe;

/** Any legal vector. */
export const legalVector = integer(HV_IPI_LOW_VECTOR, HV_IPI_HIGH_VECTOR);

/** Legal vectors at the ends, and at the end of those that share IDT entries with exceptions. */
export const legalVectorEdge = among(HV_IPI_LOW_VECTOR, 0x11, 0x1f, 0x20, 0xfe, HV_IPI_HIGH_VECTOR);

/** Vectors that many calls of a case have in common. */
export const repeatedVector = among(simplestVector, 0x31);

/** Vectors that both calls refuse: just outside, equal to a legal one in the low byte, or anything with 32 bits. */
export const illegalVector = choice(
  { weight: 6, arbitrary: among(0, 0xf, 0x100, 0x110, 0x1ff, 0x80000010, 0xffffffff) },
  { weight: 2, arbitrary: integer(0, HV_IPI_LOW_VECTOR - 1) },
  { weight: 2, arbitrary: integer(HV_IPI_HIGH_VECTOR + 1, Number(maxOf(32))) },
);

/** How many vCPUs a plan tells apart. */
export const vcpuNumbers = 8;
/** A vCPU before it is known how many there are; `vcpuAt` says which one it is. */
export const vcpuNumber = integer(0, vcpuNumbers - 1);

/** Position of a vCPU in a machine of so many: modulo their number, or, when they are more, spread over all of them. */
export function vcpuAt(number: number, count: number): number {
  if (count <= vcpuNumbers) return number % count;
  return Math.floor((number * (count - 1)) / (vcpuNumbers - 1));
}

/** VP numbers around the ends of banks, of 32-bit halves and of the limits of kernels. */
export const vpNumberEdges = [0, 1, 2, 31, 32, 63, 64, 65, 127, 128, 191, 1023, 1024, 2047, 4031, 4032, 4095] as const;
export const vpNumberEdge = among(...vpNumberEdges);

/** Any VP number that a VP set can hold. */
export const vpNumber = integer(0, caseLimits.vpNumber - 1);

/** VP indexes at and above every limit: the host's write is refused by all kernels, or by those with a lower limit. */
export const refusedVpIndex = evenly<number>(
  among(1024, 1025, 4096, 4097, 65535, 65536, caseLimits.vpIndex),
  integer(caseLimits.vpNumber, caseLimits.vpIndex),
);

/** Any 64-bit number. */
export const anyWord = fc.bigInt({ min: 0n, max: maxOf(64) });

/** A number that is not zero: an edge of the field or, less often, any other. */
export function nonZeroOf<Name extends string>(layout: Layout<Name>, name: Name): fc.Arbitrary<number> {
  const edges = edgesOf(layout, name).filter((edge) => edge > 0n);
  return choice(
    { weight: 3, arbitrary: among(...edges.map(Number)) },
    { weight: 1, arbitrary: integer(1, Number(edges.at(-1))) },
  );
}

/** One or two bits of the control word that must be zero, the nested bit among them. */
export function reservedBits(layout: typeof controlWord): fc.Arbitrary<number[]> {
  const nested = layout.fields.find((field) => field.name === 'isNested')!.shift;
  const bit = among(...reservedBitsOf(layout), nested);
  return choice(
    { weight: 3, arbitrary: planOf((source) => [source.draw(bit)]) },
    { weight: 1, arbitrary: planOf((source) => [source.draw(bit), source.draw(bit)]) },
  );
}

/** The numbers in ascending order, each once. They are few, and mostly in order already. */
export function ascending(numbers: readonly number[]): number[] {
  const sorted: number[] = [];
  for (let place = 0; place < numbers.length; place++) {
    const number = numbers[place]!;
    let at = sorted.length;
    while (at > 0 && sorted[at - 1]! > number) at--;
    if (at > 0 && sorted[at - 1] === number) continue;
    if (at === sorted.length) sorted.push(number);
    else sorted.splice(at, 0, number);
  }
  return sorted;
}
