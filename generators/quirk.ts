/**
 * Quirks: what makes a call differ from the plain one. Breaks are meant to violate one rule each; oddities are unusual
 * and should be harmless. A step draws few of them, so that one broken rule is not hidden behind another.
 */
import fc from 'fast-check';
import { bankCountMax, controlWord, sendIpiExInput } from '../src/abi/hypercall.ts';
import { maxOf } from '../src/abi/layout.ts';
import { anyWord, illegalVector, nonZeroOf, reservedBits } from './integers.ts';
import { oneofFeatures, type Swarm } from './swarm.ts';

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

type QuirkOf<On extends Quirk['on']> = Extract<Quirk, { on: On }>;

const bank = fc.nat(bankCountMax - 1);
const someBanks = fc.array(bank, { minLength: 1, maxLength: 3, size: 'max' });

const vectorBreak = valueQuirk('vector', illegalVector);
const headerBreak: fc.Arbitrary<Quirk> = fc.oneof(
  // Off by one, and by what a count of 6, 7, 8 or 9 bits would not see.
  headerQuirk('banks', fc.constantFrom(1, 1, -1, -1, 64, 128, 256, 512)),
  headerQuirk('zero', fc.constantFrom(0, 1, 11, 12, 64, 1023)),
  headerQuirk('zero', nonZeroOf(controlWord, 'variableHeaderSize')),
);

const addressBreak: fc.Arbitrary<Quirk> = fc.oneof(
  { weight: 3, arbitrary: addressQuirk('ram', fc.constantFrom(-1n, -4n, -8n, -15n, -16n, -23n, -24n, -32n)) },
  { weight: 2, arbitrary: addressQuirk('block', fc.constantFrom(1n, 4n, 8n, 16n)) },
  { weight: 2, arbitrary: addressQuirk('ram', fc.constantFrom(0n, 8n, 0x1000n, 0x80000n)) },
  { weight: 1, arbitrary: addressQuirk('romEnd', fc.constantFrom(0n, -8n, -16n, -24n, -32n)) },
  { weight: 1, arbitrary: addressQuirk('rom', fc.constantFrom(-1n, -8n, -16n)) },
  {
    weight: 3,
    arbitrary: addressQuirk(
      'zero',
      fc.constantFrom(
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
const addressOddity: fc.Arbitrary<Quirk> = fc.oneof(
  addressQuirk('slot', fc.constantFrom(1n, 2n, 4n, 7n, 8n, 12n)),
  addressQuirk('page', fc.constantFrom(-1n, -4n, -8n, -12n, -16n, -20n, -24n, -28n, -32n)),
  addressQuirk('block', fc.constantFrom(0n, 0n, -1n, -4n, -8n)),
  addressQuirk('rom', fc.constantFrom(0n, 8n, 0x400n, 0xff8n, 0x1003n)),
  addressQuirk('hypercallPage', fc.constantFrom(0n, 3n, 8n, 0x10n, 0x800n)),
);

/** Draws one break. */
export function breakQuirk(swarm: Swarm): fc.Arbitrary<Quirk> {
  return oneofFeatures<Quirk>(swarm, {
    'break.vector': vectorBreak,
    'break.variableHeader': headerBreak,
    'break.mask': maskQuirk(false),
    'break.reservedBits': bitsQuirk('controlBits', reservedBits(controlWord)),
    // Bits of both call codes are the other call's or no change; with bit 15 it is an extended call.
    'break.callCode': bitsQuirk('controlBits', fc.integer({ min: 5, max: 15 }).map(toList, fromList)),
    'break.repCount': valueQuirk('repCount', nonZeroOf(controlWord, 'repCount')),
    'break.repStart': valueQuirk('repStart', nonZeroOf(controlWord, 'repStartIndex')),
    'break.address': addressBreak,
  });
}

/** Draws one oddity. */
export function oddQuirk(swarm: Swarm): fc.Arbitrary<Quirk> {
  return oneofFeatures<Quirk>(swarm, {
    'odd.all': valueQuirk('format', fc.constant(1n)),
    'odd.format': valueQuirk(
      'format',
      fc.oneof(
        { weight: 4, arbitrary: fc.constantFrom(2n, 7n, (1n << 32n) | 1n, maxOf(64), 1n << 63n, (1n << 63n) | 1n) },
        { weight: 1, arbitrary: anyWord },
      ),
    ),
    'odd.emptyBanks': bitsQuirk('emptyBanks', someBanks),
    'odd.moveBank': quirk<'moveBank'>({ on: fc.constant('moveBank'), place: bank, to: bank }),
    'odd.maskAndHeader': maskQuirk(true),
    'odd.targetVtl': valueQuirk('targetVtl', fc.constantFrom(0x10, ...nonZeroEdges('targetVtl'), 0x11, 0x1f, 0xe0)),
    'odd.padding': valueQuirk('padding', nonZeroOf(sendIpiExInput, 'padding')),
    'odd.address': addressOddity,
    'odd.outputAddress': valueQuirk('outputGpa', fc.oneof(fc.constantFrom(1n, 7n, maxOf(64), 1n << 52n), anyWord)),
    'odd.rax': valueQuirk('rax', fc.oneof(fc.constantFrom(11n, 0x8000_0000n, maxOf(64)), anyWord)),
    'odd.tail': valueQuirk('tail', fc.oneof(fc.constantFrom(0n, 0n, 0x5555_5555_5555_5555n, 1n), anyWord)),
  });
}

const toList = (bit: number): number[] => [bit];
const fromList = (list: unknown): number => (list as number[])[0]!;

function nonZeroEdges(name: 'targetVtl'): number[] {
  const { bits } = sendIpiExInput.fields.find((field) => field.name === name)!;
  return [...Array.from({ length: bits }, (_, bit) => 1 << bit), Number(maxOf(bits))];
}

function quirk<On extends Quirk['on']>(model: {
  [Key in keyof QuirkOf<On>]: fc.Arbitrary<QuirkOf<On>[Key]>;
}): fc.Arbitrary<Quirk> {
  return fc.record<unknown>(model, { noNullPrototype: true }) as fc.Arbitrary<Quirk>;
}

function valueQuirk(
  on: Extract<Quirk, { value: number | bigint }>['on'],
  value: fc.Arbitrary<number> | fc.Arbitrary<bigint>,
): fc.Arbitrary<Quirk> {
  return fc.record({ on: fc.constant(on), value }, { noNullPrototype: true }) as fc.Arbitrary<Quirk>;
}

function headerQuirk(from: 'zero' | 'banks', value: fc.Arbitrary<number>): fc.Arbitrary<Quirk> {
  return quirk<'variableHeader'>({ on: fc.constant('variableHeader'), from: fc.constant(from), value });
}

function maskQuirk(headerFollows: boolean): fc.Arbitrary<Quirk> {
  return quirk<'mask'>({ on: fc.constant('mask'), bits: someBanks, headerFollows: fc.constant(headerFollows) });
}

function bitsQuirk(on: 'controlBits' | 'emptyBanks', bits: fc.Arbitrary<number[]>): fc.Arbitrary<Quirk> {
  return fc.record({ on: fc.constant(on), bits }, { noNullPrototype: true });
}

function addressQuirk(anchor: AddressAnchor, offset: fc.Arbitrary<bigint>): fc.Arbitrary<Quirk> {
  return quirk<'address'>({ on: fc.constant('address'), anchor: fc.constant(anchor), offset });
}
