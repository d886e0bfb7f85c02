/**
 * How two KVMs differ before any case runs. Cases show only changes against the LAPIC page that they start from, so
 * another version register, CPUID leaf or limit would show in none of them.
 */
import { lapicPageBytes, lapicRegisterName } from '../../abi/lapic.ts';
import type { CpuidLeaf, KvmOffer } from '../../executor/offer.ts';
import { capabilityName, msrName } from './offer-names.ts';

/** One thing that a VMM or a guest reads differently. */
export interface OfferDifference {
  readonly what: string;
  readonly base: string;
  readonly kernel: string;
  /** Which bits came and went, where that says more than the values; else "". */
  readonly bits: string;
}

/** Everything that differs, in the order of numbers. */
export function offerDifferences(base: KvmOffer, kernel: KvmOffer): OfferDifference[] {
  return [
    ...capabilityDifferences(base.capabilities, kernel.capabilities),
    ...cpuidDifferences('CPUID', base.cpuid, kernel.cpuid),
    ...cpuidDifferences('Hyper-V CPUID', base.hypervCpuid, kernel.hypervCpuid),
    ...lapicDifferences(base.lapic, kernel.lapic),
    ...msrDifferences(base.msrs, kernel.msrs),
  ];
}

/** `LAPIC split x2apic, version: 0x1050014 before, 0x50014 after; bit 24 gone`. */
export function formatOfferDifference(
  { what, base, kernel, bits }: OfferDifference,
  names: { readonly base: string; readonly kernel: string },
): string {
  return `${what}: ${base} ${names.base}, ${kernel} ${names.kernel}${bits === '' ? '' : `; ${bits}`}`;
}

const none = 'none';

function capabilityDifferences(base: KvmOffer['capabilities'], kernel: KvmOffer['capabilities']): OfferDifference[] {
  return keysOf(base, kernel, Number).flatMap((number) => {
    // A capability that nobody knows is answered with 0.
    const [left, right] = [base[number] ?? 0, kernel[number] ?? 0];
    return left === right ? [] : [{ what: capabilityName(number), base: `${left}`, kernel: `${right}`, bits: '' }];
  });
}

const registers = ['eax', 'ebx', 'ecx', 'edx'] as const;

function cpuidDifferences(label: string, base: readonly CpuidLeaf[], kernel: readonly CpuidLeaf[]): OfferDifference[] {
  const [left, right] = [base, kernel].map((leaves) => new Map(leaves.map((leaf) => [nameOfLeaf(leaf), leaf])));
  const names = new Set([...left!.keys(), ...right!.keys()]);
  return [...names].flatMap((name) => {
    const [before, after] = [left!.get(name), right!.get(name)];
    if (before === undefined || after === undefined) {
      const values = [before, after].map((leaf) => (leaf === undefined ? none : textOfLeaf(leaf)));
      return [{ what: `${label} leaf ${name}`, base: values[0]!, kernel: values[1]!, bits: '' }];
    }
    return registers.flatMap((register) => {
      return wordDifference(`${label} leaf ${name} ${register.toUpperCase()}`, before[register], after[register]);
    });
  });
}

function nameOfLeaf({ leaf, subleaf }: CpuidLeaf): string {
  return `${hex(leaf)}${subleaf === 0 ? '' : `.${subleaf}`}`;
}

function textOfLeaf(leaf: CpuidLeaf): string {
  return registers.map((register) => hex(leaf[register])).join(' ');
}

function lapicDifferences(base: KvmOffer['lapic'], kernel: KvmOffer['lapic']): OfferDifference[] {
  return keysOf(base, kernel, String).flatMap((name) => {
    const [before, after] = [base[name], kernel[name]];
    if (before === undefined || after === undefined) {
      const texts = [before, after].map((page) => (page === undefined ? none : 'there'));
      return [{ what: `LAPIC ${name}`, base: texts[0]!, kernel: texts[1]!, bits: '' }];
    }
    const [left, right] = [Buffer.from(before, 'hex'), Buffer.from(after, 'hex')];
    const found: OfferDifference[] = [];
    for (let offset = 0; offset < lapicPageBytes; offset += 4) {
      // Between the registers there is nothing, and a guest that reads it as one is told so.
      const place = offset % 16 === 0 ? lapicRegisterName(offset) : `byte 0x${offset.toString(16)}`;
      found.push(...wordDifference(`LAPIC ${name}, ${place}`, left.readUInt32LE(offset), right.readUInt32LE(offset)));
    }
    return found;
  });
}

function msrDifferences(base: KvmOffer['msrs'], kernel: KvmOffer['msrs']): OfferDifference[] {
  return keysOf(base, kernel, String).flatMap((key) => {
    const [before, after] = [base[key], kernel[key]];
    if (before === after) return [];
    const what = msrName(Number(key));
    if (before === undefined || after === undefined) {
      const texts = [before, after].map((value) => (value === undefined ? 'not readable' : hex(BigInt(value))));
      return [{ what, base: texts[0]!, kernel: texts[1]!, bits: '' }];
    }
    return wordDifference(what, BigInt(before), BigInt(after));
  });
}

function wordDifference(what: string, before: number | bigint, after: number | bigint): OfferDifference[] {
  const [left, right] = [BigInt(before), BigInt(after)];
  if (left === right) return [];
  const bits = [bitsText(right & ~left, 'new'), bitsText(left & ~right, 'gone')].filter(Boolean).join(', ');
  return [{ what, base: hex(left), kernel: hex(right), bits }];
}

/** More bits than these are another number rather than other bits. */
const bitsMax = 4;

function bitsText(word: bigint, verb: string): string {
  const bits = Array.from({ length: 64 }, (_, bit) => bit).filter((bit) => ((word >> BigInt(bit)) & 1n) === 1n);
  if (bits.length === 0 || bits.length > bitsMax) return '';
  return `${bits.length === 1 ? 'bit' : 'bits'} ${bits.join(' ')} ${verb}`;
}

function keysOf<Key extends string | number>(
  base: Readonly<Record<Key, unknown>>,
  kernel: Readonly<Record<Key, unknown>>,
  read: (key: string) => Key,
): Key[] {
  const keys = [...new Set([...Object.keys(base), ...Object.keys(kernel)])];
  return keys.sort((left, right) => Number(left) - Number(right) || left.localeCompare(right)).map(read);
}

function hex(value: number | bigint): string {
  return `0x${value.toString(16)}`;
}
