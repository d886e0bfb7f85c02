/** `npm run bench:border [COUNT [SEED]]`: mutated scripts against the hand, with sanitizers and without KVM. */
import { availableParallelism } from 'node:os';
import { findSanitizers, tryBorder } from '../../tests/hand/border/border.ts';

const [count = '1000000', seed = '1'] = process.argv.slice(2);
const found = await findSanitizers();
if ('reason' in found) {
  process.stderr.write(`the border cannot be tried: ${found.reason}\n`);
  process.exitCode = 4;
} else if (![count, seed].every((word) => /^\d+$/.test(word))) {
  process.stderr.write('bench:border takes a number of scripts and a seed\n');
  process.exitCode = 2;
} else {
  const { seeds, seconds, replies, lostThreads, resident } = await tryBorder(
    found.compiler,
    Number(count),
    Number(seed),
    availableParallelism(),
  );
  const lines = [
    `${count} scripts made of ${seeds}, seed ${seed}: ${seconds.toFixed(0)} s, no error of a sanitizer`,
    `resident memory: ${resident[0] >> 10} MiB after a tenth, ${resident[1] >> 10} MiB at the end; threads lost: ${lostThreads}`,
    ...[...replies].map(([kind, times]) => `${String(times).padStart(10)}  ${kind}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}
