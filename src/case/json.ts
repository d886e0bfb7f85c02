/** Fields as JSON: those that have their default are left out. */
import type { z } from 'zod';
import { formatList } from './cpulist.ts';

/** Fields written as hexadecimal numbers although a JavaScript number holds them. */
const hexFields = new Set(['vector', 'targetVtl', 'padding']);

export interface DefaultField {
  readonly key: string;
  /** Undefined where the field has no default. */
  readonly value: unknown;
  /** The same as JSON. */
  readonly json: unknown;
}

/** The JSON of a record in the schema's key order, without the fields that have their default, and without `except`. */
export function fieldsToJson(
  value: Record<string, unknown>,
  defaults: readonly DefaultField[],
  except?: string,
): object {
  const json: Record<string, unknown> = {};
  for (const field of defaults) {
    const { key } = field;
    const given = value[key];
    // Most fields have their default: those that show it at once need not become text.
    if (given === field.value || key === except) continue;
    const text = fieldToJson(key, given);
    if (text !== field.json) json[key] = text;
  }
  return json;
}

/** Every field's default, in the schema's order; null fields are left out. */
export function defaultsOf(shape: Record<string, z.ZodType | null>): readonly DefaultField[] {
  return Object.entries(shape).flatMap(([key, field]): DefaultField[] => {
    if (field === null) return [];
    const absent = field.safeParse(undefined);
    return [
      absent.success
        ? { key, value: absent.data, json: fieldToJson(key, absent.data) }
        : { key, value: undefined, json: undefined },
    ];
  });
}

function fieldToJson(key: string, value: unknown): unknown {
  if (Array.isArray(value)) return typeof value[0] === 'string' ? value.join(' ') : formatList(value as number[]);
  if (typeof value === 'bigint' || (typeof value === 'number' && hexFields.has(key))) return `0x${value.toString(16)}`;
  return value;
}
