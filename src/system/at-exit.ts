/** Work that must be done however this process ends: at exit, Ctrl-C or `kill`. */

const works = new Set<() => void>();
const endingSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Registers synchronous work; the returned function takes it back. */
export function atExit(work: () => void): () => void {
  if (works.size === 0) {
    process.on('exit', runAll);
    for (const signal of endingSignals) process.on(signal, onSignal);
  }
  works.add(work);
  return () => {
    works.delete(work);
    if (works.size > 0) return;
    process.off('exit', runAll);
    for (const signal of endingSignals) process.off(signal, onSignal);
  };
}

function runAll(): void {
  for (const work of works) work();
}

/** With another listener, somebody else decides when to end; alone, we stand in for the default, which is to end. */
function onSignal(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  runAll();
  works.clear();
  process.off(signal, onSignal);
  process.kill(process.pid, signal);
}
