import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { formatCase, parseCase } from '../src/case/case.ts';
import { encodeCase } from '../src/case/encode.ts';
import { predict } from '../oracle/model.ts';

const folder = join(import.meta.dirname, '..', 'corpus');
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.json'))
  .sort();
const facts = {
  target: 'model',
  kernelRelease: 'model',
  cpu: 'model',
  kvmMaxVcpus: 4096,
  irqchips: ['kernel'],
};

/** The model's word on a case: a line per step. The snapshot was read line by line against semantics.md 2.2 and 5. */
function outcomeLines(text: string): string[] {
  const { steps } = predict(encodeCase(parseCase(text)), facts);
  return steps.map(({ rule, result, receivers, arrivals }) => {
    const status = result === null ? '' : ` status ${result}`;
    const to = receivers.length === 0 ? '' : ` to vCPU ${receivers.join(' ')}`;
    const taken = arrivals.flatMap((vectors, vcpu) =>
      vectors.length === 0 ? [] : [`; vCPU ${vcpu} takes ${vectors.map((vector) => vector.toString(16)).join(' ')}`],
    );
    return `${rule}${status}${to}${taken.join('')}`;
  });
}

describe('corpus', () => {
  it('should have the selftest and at least 30 border cases', () => {
    expect(files).toContain('selftest-hyperv-ipi.json');
    expect(files.length).toBeGreaterThanOrEqual(31);
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
