/** What this process may do with a file or a folder. */
import { accessSync, constants } from 'node:fs';

const modes = { read: constants.R_OK, write: constants.W_OK, execute: constants.X_OK };

export function may(what: keyof typeof modes, path: string): boolean {
  try {
    accessSync(path, modes[what]);
    return true;
  } catch {
    return false;
  }
}
