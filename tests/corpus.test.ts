import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatCase, parseCase } from '../src/case/case.ts';
import { encodeCase } from '../src/program/encode.ts';
import { modelFacts } from '../src/model/model-executor.ts';
import { predict } from '../oracle/model.ts';

const folder = join(import.meta.dirname, '..', 'corpus');
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.json'))
  .sort();

/** The model's word on a case: a line per step. The snapshot was read line by line against docs/semantics.md 2.2 and 5. */
function outcomeLines(text: string): string[] {
  const { steps } = predict(encodeCase(parseCase(text)), modelFacts);
  return steps.map(({ rule, call, result, exception, exit, registers, receivers, arrivals }) => {
    const isForeign = rule.startsWith('native-') || exit !== null;
    const what = call === null ? `taken ${result}` : isForeign ? `RAX 0x${result?.toString(16)}` : `status ${result}`;
    const status = result === null ? '' : ` ${what}`;
    const left = exit === null ? '' : ` exit ${exit}`;
    const fault = exception === null ? '' : ` exception ${exception}`;
    const changed = registers.length === 0 ? '' : ` changes ${registers.map(({ register }) => register).join(' ')}`;
    const to = receivers.length === 0 ? '' : ` to vCPU ${receivers.join(' ')}`;
    const taken = arrivals.flatMap((vectors, vcpu) =>
      vectors.length === 0 ? [] : [`; vCPU ${vcpu} takes ${vectors.map((vector) => vector.toString(16)).join(' ')}`],
    );
    return `${rule}${status}${left}${fault}${changed}${to}${taken.join('')}`;
  });
}

describe('corpus', () => {
  it('should have the selftest and at least 100 border cases', () => {
    expect(files).toContain('selftest-hyperv-ipi.json');
    expect(files.length).toBeGreaterThanOrEqual(101);
  });

  it.each(files)('should hold %s as canonical text with a line of why', (name) => {
    const text = readFileSync(join(folder, name), 'utf8');
    const value = parseCase(text);

    expect(formatCase(value)).toBe(text);
    expect(value.why).not.toBe('');
  });

  it.each(files)('should get this outcome for %s', (name) => {
    expect(outcomeLines(readFileSync(join(folder, name), 'utf8'))).toMatchSnapshot();
  });
});
