/**
 * Quirks: how a call differs from the plain one. A break violates one rule on purpose; an oddity is unusual and should
 * be harmless. A step draws few, so that one broken rule does not hide another.
 */
import type fc from 'fast-check';
import { bankCountMax, controlWord, sendIpiExInput } from '../../src/abi/hypercall.ts';
import { maxOf } from '../../src/abi/layout.ts';
import { anyWord, illegalVector, nonZeroOf, reservedBits } from '../integers.ts';
import { among, choice, evenly, integer, just, list, planOf } from '../plan.ts';
import { type Feature, oneofFeatures, type Swarm } from '../swarm.ts';

/**
 * What an input address is relative to: `zero`; the `slot` that the step has anyway; a `page` end in the arena; the end
 * of RAM (`ram`); the address at which the block ends with RAM (`block`); the ends of the read-only memslot; a hypercall
 * page that the case has enabled.
 */
export type AddressAnchor = 'zero' | 'slot' | 'page' | 'ram' | 'block' | 'rom' | 'romEnd' | 'hypercallPage';

export type Quirk =
  | { readonly on: 'vector' | 'repCount' | 'repStart' | 'targetVtl' | 'padding'; readonly value: number }
  /** The variable header is `value` (modulo its width), or that much more than the banks that are given. */
  | { readonly on: 'variableHeader'; readonly from: 'zero' | 'banks'; readonly value: number }
  /** Mask bits are flipped; with `headerFollows` the variable header agrees with the mask and not with the banks. */
  | { readonly on: 'mask'; readonly bits: readonly number[]; readonly headerFollows: boolean }
  /** One of the given banks goes by another number in the mask. */
  | { readonly on: 'moveBank'; readonly place: number; readonly to: number }
  | { readonly on: 'controlBits' | 'emptyBanks'; readonly bits: readonly number[] }
  | { readonly on: 'address'; readonly anchor: AddressAnchor; readonly offset: bigint }
  | { readonly on: 'format' | 'outputGpa' | 'tail' | 'rax'; readonly value: bigint };

const bank = integer(0, bankCountMax - 1);
const someBanks = list(bank, 1, 3);

const vectorBreak = valueQuirk('vector', illegalVector);
const headerBreak = evenly<Quirk>(
  // Off by one, and by what a count of 6, 7, 8 or 9 bits would not see.
  headerQuirk('banks', among(1, 1, -1, -1, 64, 128, 256, 512)),
  headerQuirk('zero', among(0, 1, 11, 12, 64, 1023)),
  headerQuirk('zero', nonZeroOf(controlWord, 'variableHeaderSize')),
);

const addressBreak = choice<Quirk>(
  { weight: 3, arbitrary: addressQuirk('ram', among(-1n, -4n, -8n, -15n, -16n, -23n, -24n, -32n)) },
  { weight: 2, arbitrary: addressQuirk('block', among(1n, 4n, 8n, 16n)) },
  { weight: 2, arbitrary: addressQuirk('ram', among(0n, 8n, 0x1000n, 0x80000n)) },
  { weight: 1, arbitrary: addressQuirk('romEnd', among(0n, -8n, -16n, -24n, -32n)) },
  { weight: 1, arbitrary: addressQuirk('rom', among(-1n, -8n, -16n)) },
  {
    weight: 3,
    arbitrary: addressQuirk(
      'zero',
      among(
        0x8000_0000n,
        1n << 32n,
        1n << 40n,
        (1n << 46n) - 8n,
        1n << 51n,
        1n << 52n,
        1n << 63n,
        maxOf(64) - 7n,
        maxOf(64),
      ),
    ),
  },
);

/** Addresses that TLFS forbids or that lie at a limit, and that KVM reads all the same. */
const addressOddity = evenly<Quirk>(
  addressQuirk('slot', among(1n, 2n, 4n, 7n, 8n, 12n)),
  addressQuirk('page', among(-1n, -4n, -8n, -12n, -16n, -20n, -24n, -28n, -32n)),
  addressQuirk('block', among(0n, 0n, -1n, -4n, -8n)),
  addressQuirk('rom', among(0n, 8n, 0x400n, 0xff8n, 0x1003n)),
  addressQuirk('hypercallPage', among(0n, 3n, 8n, 0x10n, 0x800n)),
);

const breaks: Partial<Record<Feature, fc.Arbitrary<Quirk>>> = {
  'break.vector': vectorBreak,
  'break.variableHeader': headerBreak,
  'break.mask': maskQuirk(false),
  'break.reservedBits': bitsQuirk('controlBits', reservedBits(controlWord)),
  // Bits of both call codes are the other call's or no change; with bit 15 it is an extended call.
  'break.callCode': bitsQuirk('controlBits', listOfOne(integer(5, 15))),
  'break.repCount': valueQuirk('repCount', nonZeroOf(controlWord, 'repCount')),
  'break.repStart': valueQuirk('repStart', nonZeroOf(controlWord, 'repStartIndex')),
  'break.address': addressBreak,
};

/** Draws one break. */
export function breakQuirk(swarm: Swarm): fc.Arbitrary<Quirk> {
  return oneofFeatures(swarm, breaks);
}

const oddities: Partial<Record<Feature, fc.Arbitrary<Quirk>>> = {
  'odd.all': valueQuirk('format', just(1n)),
  'odd.format': valueQuirk(
    'format',
    choice(
      { weight: 4, arbitrary: among(2n, 7n, (1n << 32n) | 1n, maxOf(64), 1n << 63n, (1n << 63n) | 1n) },
      { weight: 1, arbitrary: anyWord },
    ),
  ),
  'odd.emptyBanks': bitsQuirk('emptyBanks', someBanks),
  'odd.moveBank': planOf((source) => ({ on: 'moveBank', place: source.draw(bank), to: source.draw(bank) })),
  'odd.maskAndHeader': maskQuirk(true),
  'odd.targetVtl': valueQuirk('targetVtl', among(0x10, ...nonZeroEdges('targetVtl'), 0x11, 0x1f, 0xe0)),
  'odd.padding': valueQuirk('padding', nonZeroOf(sendIpiExInput, 'padding')),
  'odd.address': addressOddity,
  'odd.outputAddress': valueQuirk('outputGpa', evenly(among(1n, 7n, maxOf(64), 1n << 52n), anyWord)),
  'odd.rax': valueQuirk('rax', evenly(among(11n, 0x8000_0000n, maxOf(64)), anyWord)),
  'odd.tail': valueQuirk('tail', evenly(among(0n, 0n, 0x5555_5555_5555_5555n, 1n), anyWord)),
};

/** Draws one oddity. */
export function oddQuirk(swarm: Swarm): fc.Arbitrary<Quirk> {
  return oneofFeatures(swarm, oddities);
}

function nonZeroEdges(name: 'targetVtl'): number[] {
  const { bits } = sendIpiExInput.fields.find((field) => field.name === name)!;
  return [...Array.from({ length: bits }, (_, bit) => 1 << bit), Number(maxOf(bits))];
}

function listOfOne<T>(element: fc.Arbitrary<T>): fc.Arbitrary<T[]> {
  return planOf((source) => [source.draw(element)]);
}

function valueQuirk(
  on: Extract<Quirk, { value: number | bigint }>['on'],
  value: fc.Arbitrary<number> | fc.Arbitrary<bigint>,
): fc.Arbitrary<Quirk> {
  return planOf((source) => ({ on, value: source.draw<number | bigint>(value) }) as Quirk);
}

function headerQuirk(from: 'zero' | 'banks', value: fc.Arbitrary<number>): fc.Arbitrary<Quirk> {
  return planOf((source) => ({ on: 'variableHeader', from, value: source.draw(value) }));
}

function maskQuirk(headerFollows: boolean): fc.Arbitrary<Quirk> {
  return planOf((source) => ({ on: 'mask', bits: source.draw(someBanks), headerFollows }));
}

function bitsQuirk(on: 'controlBits' | 'emptyBanks', bits: fc.Arbitrary<number[]>): fc.Arbitrary<Quirk> {
  return planOf((source) => ({ on, bits: source.draw(bits) }));
}

function addressQuirk(anchor: AddressAnchor, offset: fc.Arbitrary<bigint>): fc.Arbitrary<Quirk> {
  return planOf((source) => ({ on: 'address', anchor, offset: source.draw(offset) }));
}
