/** Errors of the file system that a user can mend, each as one line. */
import { InfrastructureError } from '../errors.ts';

const meanings: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on the disk',
  EDQUOT: 'the disk quota is used up',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'the file system is read-only',
  ENOENT: 'there is no such place',
  EEXIST: 'in the way, and not a folder',
  ENOTDIR: 'a part of the path is not a folder',
};

/**
 * Runs file work below `path` and turns the errors that a user can mend into one line that names the path.
 *
 * @throws InfrastructureError for a full disk, missing permission and the like; other errors as they are.
 */
export async function withFileErrors<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const { code, path: failedPath, dest } = error as NodeJS.ErrnoException & { dest?: string };
    const meaning = code === undefined ? undefined : meanings[code];
    if (meaning === undefined) throw error;
    throw new InfrastructureError(`${dest ?? failedPath ?? path}: ${meaning}`);
  }
}
