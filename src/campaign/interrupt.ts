/** Ctrl-C as a value: long waits race against an AbortSignal. */

/** The person asked to stop. */
export class Interrupted extends Error {
  override name = 'Interrupted';
}

/**
 * The promise, or an Interrupted error as soon as the signal fires; what the promise comes to later is dropped.
 *
 * @throws Interrupted
 */
export async function interruptible<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(() => undefined);
  if (signal.aborted) throw new Interrupted('interrupted');
  let onAbort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(new Interrupted('interrupted'));
    signal.addEventListener('abort', onAbort);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Lets timers and signals run: an executor in this process answers without ever giving the event loop a turn. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
