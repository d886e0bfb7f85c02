/**
 * KVM's modules with counters in the objects that a patch touches. The kernel that loads them has no use for counters, so
 * what would register them there is taken out again; they are read from its memory (`count-reader.ts`).
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { builtModules, keepModules } from '../build/kept-modules.ts';
import { makeGoals, type Source } from '../build/make.ts';
import { runTool } from '../system/run-tool.ts';
import {
  type CountedModule,
  type CountedModules,
  countedFile,
  formatCounted,
  type ObjectNote,
} from './counted-folder.ts';
import { countersOf } from './counters.ts';

const kvmFolder = 'arch/x86/kvm';
const flags = '-fprofile-arcs -ftest-coverage';
/** What gcc's runtime would have, and who would call it. */
const runtime = ['__gcov_init', '__gcov_exit', '__gcov_merge_add'];
const constructors = ['.init_array*', '.fini_array*', '.rela.init_array*', '.rela.fini_array*'];

/**
 * Builds the source as it stands; who calls this holds its lock. Null where none of the files is in an object.
 *
 * @throws BuildError when it does not compile.
 */
export async function buildCounted(
  source: Source,
  files: readonly string[],
  signal?: AbortSignal,
): Promise<CountedModules | null> {
  const { tree } = source;
  const objects = await objectsOf(tree, files);
  if (objects.length === 0) return null;
  const variables = objects.map((object) => `CFLAGS_${stemOf(object)}.o=${flags}`);
  const goals = [`M=${kvmFolder}`, ...variables, 'KBUILD_MODPOST_WARN=1', 'modules'];
  await makeGoals(source, goals, signal);
  const notes: ObjectNote[] = [];
  for (const object of objects) notes.push({ object, note: await readFile(join(tree, `${object}.gcno`)) });
  const modules: CountedModule[] = [];
  for (const { name, path } of builtModules(source)) {
    const counters = countersOf(await readFile(path));
    modules.push({ name: basename(name, '.ko').replace('-', '_'), counters });
  }
  const options = ['-g', '-w', ...runtime.map((symbol) => `--weaken-symbol=${symbol}`)];
  const counted = { modules, notes, tree, realTree: await realpath(tree) };
  const folder = await keepModules(source, {
    strip: (from, to) => runTool('objcopy', [...options, ...constructors.map((each) => `-R${each}`), from, to]),
    suffix: '-gcov',
    files: {
      README: `counts ${objects.join(' ')}; for measuring, not for keeping\n`,
      [countedFile]: formatCounted(counted),
    },
  });
  return { folder, ...counted };
}

/** Objects of KVM that are made from the files: their own, and of a header those that it is included in. */
export async function objectsOf(tree: string, files: readonly string[]): Promise<string[]> {
  const sources = files.filter((file) => file.endsWith('.c')).map((file) => file.replace(/\.c$/, ''));
  const headers = files.filter((file) => file.endsWith('.h'));
  const objects = new Set(sources.filter((object) => existsSync(join(tree, commandFile(object)))));
  if (headers.length > 0) {
    for (const object of await builtObjects(tree)) {
      const command = await readFile(join(tree, commandFile(object)), 'utf8');
      if (headers.some((header) => command.includes(header))) objects.add(object);
    }
  }
  return [...objects].sort();
}

/** kbuild writes down what each object depends on. */
function commandFile(object: string): string {
  return join(dirname(object), `.${basename(object)}.o.cmd`);
}

async function builtObjects(tree: string): Promise<string[]> {
  const found: string[] = [];
  for (const folder of [kvmFolder, `${kvmFolder}/svm`, `${kvmFolder}/vmx`, `${kvmFolder}/mmu`, 'virt/kvm']) {
    for (const name of await readdir(join(tree, folder)).catch((): string[] => [])) {
      const object = /^\.(.*)\.o\.cmd$/.exec(name)?.[1];
      // Others are links of objects, or made from assembler.
      if (object !== undefined && existsSync(join(tree, folder, `${object}.c`))) found.push(join(folder, object));
    }
  }
  return found;
}

/** What kbuild calls an object in the name of its flags: its path from the folder that is built. */
function stemOf(object: string): string {
  return object.startsWith(`${kvmFolder}/`) ? object.slice(kvmFolder.length + 1) : `../../../${object}`;
}
