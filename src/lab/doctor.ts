/** What this computer has of what the lab needs. It only looks. */
import { existsSync, statfsSync } from 'node:fs';
import { release, tmpdir, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { execa } from 'execa';
import { InfrastructureError } from '../errors.ts';
import { may } from '../system/access.ts';
import { hasApt, isRoot } from '../system/packages/apt.ts';
import { cacheRoot } from '../system/cache.ts';
import { bochsFolder, bochsIn } from './emulator/bochs/bochs-build.ts';
import { cachedKernels, debianSeries } from './kernel/debian-kernel.ts';
import { defaultKernel } from './kernel/kernels.ts';
import type { LabCpu } from './lab-cpu.ts';
import { runningKernel, runningSpec } from './kernel/running-kernel.ts';
import { type Distribution, thisDistribution } from '../system/packages/distribution.ts';
import { oldNodeComplaint } from '../system/node-version.ts';
import { hvipiCommand } from '../system/own-command.ts';
import {
  findProgram,
  installCommand,
  isThere,
  neededTools,
  packagesOf,
  type ToolName,
} from '../system/packages/tools.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found. */
  readonly detail: string;
  /** What to do about it; "" when it is well or nothing can be done. */
  readonly remedy: string;
}

/** A Debian kernel package unpacked, a saved state or two, and room to work. */
const cacheMibMin = 1200;
/** One initramfs and a console log. */
const tmpMibMin = 200;
const memoryMibMin = 1200;

/** The checks, in the order in which a person would look. */
export async function doctor(cpu: LabCpu): Promise<Check[]> {
  const kernels = debianSeries(defaultKernel) === null ? [runningCheck()] : [defaultKernelCheck(), runningCheck()];
  return [
    nodeCheck(),
    { name: 'computer', ok: process.arch === 'x64', detail: `${process.arch}, Linux ${release()}`, remedy: '' },
    ...(await toolChecks()),
    ...(cpu === 'intel' ? [bochsCheck()] : []),
    installCheck(),
    ...kernels,
    spaceCheck('cache', cacheRoot(), cacheMibMin, 'HVIPI_CACHE'),
    spaceCheck('temporary folder', tmpdir(), tmpMibMin, 'TMPDIR'),
    memoryCheck(),
  ];
}

function nodeCheck(): Check {
  const complaint = oldNodeComplaint(process.versions.node, hvipiCommand());
  return { name: 'node', ok: complaint === null, detail: process.version, remedy: complaint ?? '' };
}

async function toolChecks(): Promise<Check[]> {
  const distribution = thisDistribution();
  return Promise.all(
    (Object.keys(neededTools) as ToolName[]).map(async (name): Promise<Check> => {
      const path = findProgram(name);
      if (path === null || !isThere(name, neededTools[name])) {
        const detail = path === null ? 'not found' : 'without a static libc';
        return { name, ok: false, detail, remedy: remedyFor(name, distribution) };
      }
      const { stdout } = await execa(path, [name === 'busybox' ? '--help' : '--version'], { reject: false });
      return { name, ok: true, detail: stdout.split('\n')[0] ?? path, remedy: '' };
    }),
  );
}

function bochsCheck(): Check {
  const folder = bochsFolder();
  const ok = existsSync(folder);
  const remedy = ok ? '' : hvipiCommand('lab', 'install', '--cpu', 'intel');
  return { name: 'bochs', ok, detail: ok ? bochsIn(folder).path : 'not built yet, which takes some 5 minutes', remedy };
}

function remedyFor(name: ToolName, distribution: Distribution): string {
  if (hasApt() && isRoot()) return hvipiCommand('lab', 'install');
  const packages = packagesOf([neededTools[name]], distribution);
  return installCommand(packages, distribution, isRoot()) ?? `install it (Debian: ${packages.join(' ')})`;
}

function installCheck(): Check {
  const how = hasApt() ? (isRoot() ? 'apt-get, as root' : 'apt-get, but not as root') : 'no apt-get';
  const remedy = !hasApt()
    ? `${thisDistribution().name}: packages are installed by hand`
    : isRoot()
      ? ''
      : 'being root is only needed to install programs';
  return { name: 'installing', ok: hasApt(), detail: how, remedy };
}

function defaultKernelCheck(): Check {
  const name = `kernel ${defaultKernel}`;
  const [newest] = cachedKernels(debianSeries(defaultKernel)!);
  if (newest === undefined)
    return { name, ok: false, detail: 'not in the cache', remedy: hvipiCommand('lab', 'install') };
  return { name, ok: true, detail: newest.release, remedy: '' };
}

function runningCheck(): Check {
  const name = 'kernel running';
  try {
    return { name, ok: true, detail: runningKernel().bzImage, remedy: '' };
  } catch (error) {
    if (!(error instanceof InfrastructureError)) throw error;
    const detail = `${release()}: its image and modules are not here, or not readable`;
    return { name, ok: false, detail, remedy: `only --kernel ${runningSpec} needs it` };
  }
}

function spaceCheck(name: string, path: string, mibMin: number, variable: string): Check {
  let folder = path;
  while (!existsSync(folder)) folder = dirname(folder);
  const { bavail, bsize } = statfsSync(folder);
  const mib = Math.floor((bavail * bsize) / 1024 ** 2);
  const writable = may('write', folder);
  const detail = `${path}: ${mib} MiB free${writable ? '' : ', not writable'}`;
  const ok = writable && mib >= mibMin;
  return { name, ok, detail, remedy: ok ? '' : `needs ${mibMin} MiB; set ${variable} to another folder` };
}

function memoryCheck(): Check {
  const mib = Math.floor(totalmem() / 1024 ** 2);
  const ok = mib >= memoryMibMin;
  return { name: 'memory', ok, detail: `${mib} MiB`, remedy: ok ? '' : `the lab needs ${memoryMibMin} MiB` };
}
