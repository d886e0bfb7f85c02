/** The options that mean the same for every verb, as commander reads them and as checked values. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { type ContractName, contractNames } from '../../campaign/judgement.ts';
import { parseTarget, type Target, withJobs } from '../../campaign/target/target.ts';
import { UsageError } from '../../errors.ts';
import { defaultKernel, kernelSpecHelp } from '../../lab/kernel/kernels.ts';
import { parseKvmOptions } from '../../lab/kernel/kvm-options.ts';
import type { LabOptions } from '../../lab/lab.ts';
import { type LabCpu, parseLabCpu } from '../../lab/lab-cpu.ts';
import type { Say } from '../../system/say.ts';

/** Where findings are saved; `findings/` of this project holds something else. */
export const defaultOut = 'hvipi-findings';

/** What commander gives for the options that choose a lab. */
export interface RawLabOptions {
  readonly cpu: string;
  readonly bochs?: string;
  readonly kernel: string;
  readonly kvmModules?: string;
  readonly kvmOptions?: string;
  readonly install: boolean;
}

/** What commander gives for the options that choose a target. */
export interface RawTargetOptions extends RawLabOptions {
  readonly target: string;
  readonly contract: string;
  /** Of the verbs that have `--jobs`. */
  readonly jobs?: number;
}

export function addTargetOptions(command: Command): Command {
  command.option(
    '--target <WHERE>',
    'lab, host, ssh:HOST, model or model:MUTANT; host is the KVM of this very computer',
    'lab',
  );
  return addLabOptions(command).addOption(
    new Option('--contract <NAME>', 'whose word the model speaks for: kvm or tlfs').default('kvm'),
  );
}

export function addLabOptions(command: Command): Command {
  return command
    .addOption(cpuOption())
    .addOption(bochsOption())
    .option('--kernel <SPEC>', `kernel of the lab: ${kernelSpecHelp}`, defaultKernel)
    .option('--kvm-modules <DIR>', 'take kvm.ko, kvm-amd.ko and kvm-intel.ko from there')
    .option('--kvm-options <TEXT>', 'parameters of kvm.ko and kvm-amd.ko or kvm-intel.ko, like "halt_poll_ns=0 npt=0"')
    .option('--no-install', 'install nothing; say what is missing');
}

export function cpuOption(): Option {
  return new Option(
    '--cpu <VENDOR>',
    'CPU of the lab: amd (QEMU), or intel with APICv (Bochs, built on first use)',
  ).default('amd');
}

export function bochsOption(): Option {
  return new Option('--bochs <PATH>', 'with --cpu intel: this Bochs instead of the one that is built');
}

/** Each job is a lab with a CPU and 512 MiB of its own, and as much again where calls race. */
const jobsMax = 64;

export function addJobsOption(command: Command): Command {
  return command.option('--jobs <N>', 'so many labs side by side, one report', parseJobs, 1);
}

function parseJobs(text: string): number {
  const jobs = parsePositive(text);
  if (jobs > jobsMax) throw new InvalidArgumentError(`there are 1 to ${jobsMax}.`);
  return jobs;
}

/**
 * The target that the options name; opens nothing.
 *
 * @throws UsageError
 */
export function targetOf(options: RawTargetOptions, say: Say): Target {
  const { target, kvmModules, kvmOptions, jobs = 1 } = options;
  if (jobs > 1 && (target === 'host' || target.startsWith('ssh:'))) {
    throw new UsageError(`--jobs goes with --target lab and model; there is one ${target}`);
  }
  if (kvmModules !== undefined && target !== 'lab') throw new UsageError('--kvm-modules goes with --target lab only');
  if (kvmOptions !== undefined && target !== 'lab') throw new UsageError('--kvm-options goes with --target lab only');
  const lab = labOptionsOf(options, say);
  if (lab.cpu !== 'amd' && target !== 'lab') throw new UsageError('--cpu goes with --target lab only');
  const contract = contractOf(options.contract);
  const parsed = withJobs(parseTarget({ target, ...lab }), jobs);
  if (contract === 'kvm') return parsed;
  return { ...parsed, replayArguments: [...parsed.replayArguments, '--contract', contract] };
}

/** @throws UsageError */
export function labOptionsOf(options: RawLabOptions, say: Say): LabOptions {
  const { kernel, kvmModules, kvmOptions, install } = options;
  const cpu = parseLabCpu(options.cpu);
  return {
    cpu,
    bochs: bochsOf(options.bochs, cpu),
    kernel,
    kvmModules,
    kvmOptions: kvmOptions === undefined ? null : formatKvmOptions(kvmOptions),
    install,
    say,
  };
}

/** @throws UsageError */
export function bochsOf(path: string | undefined, cpu: LabCpu): string | null {
  if (path !== undefined && cpu !== 'intel') throw new UsageError('--bochs goes with --cpu intel');
  return path ?? null;
}

/**
 * The parameters with one space between them; which module has them shows when the lab is built.
 *
 * @throws UsageError
 */
export function formatKvmOptions(text: string): string {
  return parseKvmOptions(text)
    .map((option) => option.text)
    .join(' ');
}

/** @throws UsageError */
export function contractOf(text: string): ContractName {
  const contract = contractNames.find((name) => name === text);
  if (contract === undefined) throw new UsageError(`--contract ${text}: there are ${contractNames.join(' and ')}`);
  return contract;
}

const secondsOfUnit = { s: 1, m: 60, h: 3600, d: 86_400 } as const;

/** `90`, `90s`, `1.5m`, `2h`, `3d` in seconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)([smhd]?)$/.exec(text);
  const seconds =
    match === null ? 0 : Number(match[1]) * secondsOfUnit[(match[2] || 's') as keyof typeof secondsOfUnit];
  if (seconds <= 0) throw new InvalidArgumentError('a time is like 60s, 5m, 2h or 3d.');
  return seconds;
}

export function parsePositive(text: string): number {
  const value = parseCount(text);
  if (value === 0) throw new InvalidArgumentError('it must be at least 1.');
  return value;
}

export function parseCount(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('it is a whole number.');
  return Number(text);
}

export function parseSeed(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('a seed is a text that is not empty.');
  return text;
}
