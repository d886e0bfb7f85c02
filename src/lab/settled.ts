/** A promise with its resolve and reject. */

export interface Settlers<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: Error) => void;
}

/** A promise that may fail unheard, and what settles it. */
export function settled<T>(): [Promise<T>, Settlers<T>] {
  let settlers!: Settlers<T>;
  const promise = new Promise<T>((resolve, reject) => {
    settlers = { resolve, reject };
  });
  promise.catch(() => undefined);
  return [promise, settlers];
}
