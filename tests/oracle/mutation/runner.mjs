/**
 * A Stryker test runner that keeps the oracle's tests in memory. Stryker's own runner for vitest starts a worker and
 * loads every module again for each mutant, which takes hours for what are milliseconds of tests; here esbuild makes one
 * module of tests and oracle, `vitest.mjs` stands in for describe and it (expect is vitest's own), and only a mutant that
 * is active while modules load needs them loaded again.
 */
import { randomUUID } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { collected } from './vitest.mjs';

/** Test files with properties come last, the slowest at the end, so that most mutants die by an example. */
const slow = ['tlfs', 'targets', 'explain', 'explain-text', 'model', 'verdict'];
/** Draws with the project's generators for seconds, and finds nothing that the others do not. */
const leftOut = 'drawn';

/** The module whose `collected` stands above, and not a copy of it in the bundle. */
const standIn = {
  name: 'vitest',
  setup({ onResolve }) {
    const path = fileURLToPath(new URL('vitest.mjs', import.meta.url));
    onResolve({ filter: /^vitest$/ }, () => ({ path, external: true }));
  },
};
const namespace = '__stryker__';
const succeeded = 0;
const failed = 1;

class OracleTestRunner {
  /** Where Stryker put the instrumented copy of the project: the current folder of this process. */
  #folder = join(process.cwd(), 'tests', 'oracle');
  #bundle = join(this.#folder, `.bundle-${randomUUID()}.mjs`);
  /** Tests of the bundle as it is loaded, with no mutant active at that time, or null. */
  #tests = null;

  capabilities() {
    return { reloadEnvironment: true };
  }

  async init() {
    globalThis[namespace] ??= {};
    const files = (await readdir(this.#folder)).filter((file) => file.endsWith('.test.ts'));
    const names = files.map((file) => file.slice(0, -'.test.ts'.length)).filter((name) => name !== leftOut);
    const ordered = names.sort((left, right) => slow.indexOf(left) - slow.indexOf(right));
    await build({
      stdin: { contents: ordered.map((name) => `import './${name}.test.ts';`).join('\n'), resolveDir: this.#folder },
      outfile: this.#bundle,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node20',
      packages: 'external',
      plugins: [standIn],
      logLevel: 'error',
    });
  }

  async dryRun() {
    this.#state.activeMutant = undefined;
    const tests = await this.#load();
    const results = tests.map((test) => run(test, this.#state));
    return { status: 'complete', tests: results, mutantCoverage: this.#state.mutantCoverage };
  }

  async mutantRun({ activeMutant, mutantActivation, testFilter, hitLimit }) {
    const state = this.#state;
    const isStatic = mutantActivation === 'static';
    state.activeMutant = isStatic ? activeMutant.id : undefined;
    state.hitCount = hitLimit === undefined ? undefined : 0;
    // Stryker allows a hundred times what all tests took; properties take much, and a loop without an end would too.
    state.hitLimit = hitLimit === undefined ? undefined : hitLimit / 20;
    let tests;
    try {
      tests = isStatic ? await this.#import() : (this.#tests ?? (await this.#load()));
    } catch (error) {
      return { status: 'killed', killedBy: [], failureMessage: `does not load: ${messageOf(error)}`, nrOfTests: 0 };
    }
    state.activeMutant = activeMutant.id;
    const chosen = testFilter === undefined ? tests : tests.filter(({ id }) => testFilter.includes(id));
    for (const [index, test] of chosen.entries()) {
      const result = run(test, state);
      if (state.hitCount > state.hitLimit) return { status: 'timeout', reason: `ran ${state.hitCount} times` };
      if (result.status === succeeded) continue;
      return {
        status: 'killed',
        killedBy: [test.id],
        failureMessage: result.failureMessage,
        nrOfTests: index + 1,
      };
    }
    return { status: 'survived', nrOfTests: chosen.length };
  }

  dispose() {
    return rm(this.#bundle, { force: true });
  }

  get #state() {
    return globalThis[namespace];
  }

  async #load() {
    this.#tests = await this.#import();
    return this.#tests;
  }

  /** Runs all modules of the bundle again. */
  async #import() {
    collected.length = 0;
    await import(`${pathToFileURL(this.#bundle).href}?${randomUUID()}`);
    return [...collected];
  }
}

function run({ id, body }, state) {
  state.currentTestId = id;
  const start = performance.now();
  const about = () => ({ id, name: id, timeSpentMs: performance.now() - start });
  try {
    body();
    return { ...about(), status: succeeded };
  } catch (error) {
    return { ...about(), status: failed, failureMessage: messageOf(error) };
  } finally {
    state.currentTestId = undefined;
  }
}

function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

export const strykerPlugins = [{ kind: 'TestRunner', name: 'oracle', injectableClass: OracleTestRunner }];
