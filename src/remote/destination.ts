/** Names of machines that ssh reaches. */
import { UsageError } from '../errors.ts';

/** The destination of `ssh:[USER@]HOST`. @throws UsageError for what ssh would take for an option. */
export function parseDestination(text: string | undefined): string {
  if (text !== undefined && /^(?:[\w.-]+@)?[\w.:[\]-]+$/.test(text) && !text.startsWith('-')) return text;
  throw new UsageError(`--target ssh:${text ?? ''}: a machine is named like ssh:host or ssh:user@host`);
}
