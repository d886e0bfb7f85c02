/** `campaign status`: what the journals say, whether the campaign runs or not. */
import { readJournals, lockFile } from '../../durable/journal/folder.ts';
import type { KnownFinding } from '../../durable/known.ts';
import { holderOf, isLocked } from '../../durable/journal/lock.ts';
import { foldJournal, type JournalState } from '../../durable/journal/state.ts';
import { screenLines } from '../../durable/view/view.ts';
import { campaignValue } from '../../report/value.ts';
import { type CommandContext, exitCodes, formatJson } from '../common/command.ts';

export async function campaignStatus(
  folder: string,
  known: readonly KnownFinding[],
  { json }: { readonly json?: true },
  { stdout }: CommandContext,
): Promise<number> {
  const journals = readJournals(folder);
  const isRunning = await isLocked(lockFile(folder));
  if (json) {
    stdout.write(formatJson({ ...campaignValue(folder, known), isRunning }));
    return exitCodes.fine;
  }
  for (const { records } of journals) {
    const state = foldJournal(records);
    const status = isRunning ? `running, ${holderOf(lockFile(folder))}` : endText(state);
    const figures = {
      state,
      limits: state.limits,
      known,
      seconds: state.seconds,
      hypercalls: state.hypercalls,
      cases: state.cases,
    };
    stdout.write(`${screenLines({ ...figures, rate: recentRate(state), status }, Infinity).join('\n')}\n`);
  }
  return exitCodes.fine;
}

function endText({ ending, error, lastAt }: JournalState): string {
  if (ending === null) return `not running, killed after ${lastAt}`;
  return `ended at ${lastAt}: ${ending}${error === null ? '' : `: ${error}`}`;
}

/** Hypercalls a second between the last two lines that committed some. */
function recentRate({ points }: JournalState): number {
  const [before, last] = points.slice(-2);
  if (before === undefined || last === undefined || last.seconds <= before.seconds) return 0;
  return last.hypercalls / (last.seconds - before.seconds);
}
