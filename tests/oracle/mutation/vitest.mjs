/** What the oracle's tests use of vitest, without its workers: synchronous tests are collected and run by `runner.mjs`. */
import fc from 'fast-check';
import { expect } from 'vitest';

export { expect };

/** Tests in the order in which they were declared. */
export const collected = [];

// That a property fails is all that counts.
fc.configureGlobal({ ...fc.readConfigureGlobal(), endOnFailure: true });

let group = '';

export function describe(name, body) {
  group = name;
  body();
}

export function it(name, body) {
  collected.push({ id: `${group}: ${name} (${collected.length})`, body });
}

it.each = (rows) => (name, body) => {
  for (const row of rows) it(name, () => body(...(Array.isArray(row) ? row : [row])));
};

/** What is known to fail kills nothing. */
it.fails = () => {};
it.fails.each = () => () => {};
