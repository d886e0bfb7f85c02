/** Kinds of fields: how each is written in a case's text, and what it holds. */
import { z } from 'zod';
import { controlWord } from '../abi/hypercall.ts';
import { fieldOf, maxOf } from '../abi/layout.ts';
import { parseList } from './cpulist.ts';

const hexPattern = /^0x[0-9a-f]{1,16}$/i;
export const u64 = z
  .string()
  .regex(hexPattern, 'not a hexadecimal number of up to 64 bits, like "0x1f"')
  .transform(BigInt);
export const hexNumber = (bits: number) =>
  u64.refine((value) => value <= maxOf(bits), `does not fit in ${bits} bits`).transform(Number);
/** A vector as people write it: 254, "254" or "0xfe". */
export const vectorNumber = z
  .union(
    [
      z.number().int().min(0),
      z
        .string()
        .regex(/^(?:0x[0-9a-f]{1,16}|\d{1,10})$/i)
        .transform(Number),
    ],
    { error: 'not a vector, like "0xfe" or 254' },
  )
  .refine((value) => value <= Number(maxOf(32)), 'does not fit in 32 bits');
export const list = (limit: number) =>
  z.string().transform((text, context): number[] => {
    try {
      return parseList(text, limit);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
      return z.NEVER;
    }
  });
/** Words of a vocabulary, separated by spaces; kept in the vocabulary's order. */
export const words = <Word extends string>(vocabulary: readonly Word[]) =>
  z.string().transform((text, context): Word[] => {
    const given = text.split(' ').filter((word) => word !== '');
    const strange = given.find((word) => !vocabulary.some((known) => known === word));
    if (strange === undefined) return vocabulary.filter((word) => given.includes(word));
    context.addIssue({ code: 'custom', message: `"${strange}" is none of ${vocabulary.join(', ')}` });
    return z.NEVER;
  });
export const fieldNumber = (name: 'variableHeaderSize' | 'repCount' | 'repStartIndex') =>
  z
    .number()
    .int()
    .min(0)
    .max(Number(maxOf(fieldOf(controlWord, name).bits)));
export const vcpuPosition = z.number().int().min(0);
export const note = z.string().max(200).default('');
