/** Which part of a campaign this process runs: given, or read from what a cluster's engine tells its tasks. */
import { UsageError } from '../errors.ts';
import type { Shard } from './journal/record.ts';

/** Engines by the variables of their tasks: index, number of tasks, and the first index. */
const engines = [
  { index: 'JOB_COMPLETION_INDEX', count: ['HVIPI_SHARDS'], first: null },
  { index: 'SLURM_ARRAY_TASK_ID', count: ['HVIPI_SHARDS', 'SLURM_ARRAY_TASK_COUNT'], first: 'SLURM_ARRAY_TASK_MIN' },
  { index: 'HVIPI_SHARD', count: ['HVIPI_SHARDS'], first: null },
] as const;

/**
 * The shard that `--shard i/n` names, else the one of the engine that started us, else the whole campaign.
 *
 * @throws UsageError for a shard that cannot be, and for an engine that does not tell how many there are.
 */
export function shardOf(option: string | undefined, env: NodeJS.ProcessEnv): Shard {
  if (option !== undefined) return parseShard(option);
  const engine = engines.find(({ index }) => env[index] !== undefined && env[index] !== '');
  if (engine === undefined) return { index: 0, count: 1 };
  const count = engine.count.find((name) => env[name] !== undefined && env[name] !== '');
  if (count === undefined) {
    throw new UsageError(
      `${engine.index} is set, but how many shards there are is not; set ${engine.count.join(' or ')}, or give --shard i/n`,
    );
  }
  const first = engine.first === null ? 0 : Number(env[engine.first] ?? 0);
  return checked(
    Number(env[engine.index]) - first,
    Number(env[count]),
    `${engine.index}=${env[engine.index]}, ${count}=${env[count]}`,
  );
}

function parseShard(text: string): Shard {
  const match = /^(\d{1,6})\/(\d{1,6})$/.exec(text);
  if (match === null) throw new UsageError(`--shard ${text}: a shard is i/n with i from 0 to n-1, like 0/4`);
  return checked(Number(match[1]), Number(match[2]), `--shard ${text}`);
}

function checked(index: number, count: number, source: string): Shard {
  const isShard = Number.isInteger(index) && Number.isInteger(count) && index >= 0 && index < count;
  if (!isShard) throw new UsageError(`${source}: a shard is i/n with i from 0 to n-1, like 0/4`);
  return { index, count };
}
