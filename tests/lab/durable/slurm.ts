/** A Slurm cluster of one node on this computer: munged, slurmctld and slurmd, started by hand in a folder of their own. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '../../../src/system/packages/tools.ts';

const programs = ['munged', 'slurmctld', 'slurmd', 'sbatch', 'scontrol', 'squeue'] as const;

/** Why there can be no cluster here, or null. */
export function missingSlurm(): string | null {
  const missing = programs.filter((name) => findProgram(name) === null);
  if (missing.length > 0) return `${missing.join(', ')} missing; type: apt-get install slurm-wlm munge`;
  return process.getuid?.() === 0 ? null : 'slurmd needs root';
}

export class SlurmCluster implements Disposable {
  /** Short, because unix sockets have short names. */
  readonly folder = mkdtempSync('/tmp/hvipi-slurm-');
  readonly #daemons: ChildProcess[] = [];

  async start(): Promise<void> {
    chmodSync(this.folder, 0o755);
    for (const name of ['state', 'spool', 'munge']) mkdirSync(join(this.folder, name), { mode: 0o755 });
    writeFileSync(this.#path('munge/key'), randomBytes(1024), { mode: 0o400 });
    writeFileSync(this.#path('slurm.conf'), this.#configuration());
    const munge = ['key-file=key', 'socket=socket', 'pid-file=pid', 'log-file=log', 'seed-file=seed'];
    const files = munge.map((option) => `--${option.replace('=', `=${this.#path('munge/')}`)}`);
    this.#spawn('munged', ['--foreground', '--force', ...files]);
    await this.#until(() => execFileSync('munge', ['--no-input', '--socket', this.#path('munge/socket')]), 'munged');
    this.#spawn('slurmctld', ['-D', '-c', '-f', this.#path('slurm.conf')]);
    this.#spawn('slurmd', ['-D', '-c', '-f', this.#path('slurm.conf')]);
    await this.#until(() => {
      if (!/State=IDLE/.test(this.run('scontrol', 'show', 'node')))
        throw new Error(this.run('scontrol', 'show', 'node'));
    }, 'the node');
  }

  /** What a command of Slurm prints. */
  run(command: string, ...args: readonly string[]): string {
    const env = { ...process.env, SLURM_CONF: this.#path('slurm.conf') };
    return execFileSync(command, args, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  [Symbol.dispose](): void {
    for (const daemon of this.#daemons.reverse()) daemon.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  #path(name: string): string {
    return join(this.folder, name);
  }

  #spawn(command: string, args: readonly string[]): void {
    const log = openSync(this.#path(`${command}.log`), 'a');
    const env = { ...process.env, SLURM_CONF: this.#path('slurm.conf') };
    this.#daemons.push(spawn(command, args, { env, stdio: ['ignore', log, log] }));
  }

  async #until(works: () => void, what: string): Promise<void> {
    const deadline = Date.now() + 60_000;
    for (;;) {
      try {
        works();
        return;
      } catch (error) {
        if (Date.now() > deadline) throw new Error(`${what} did not start\n${this.#logs()}`, { cause: error });
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
  }

  #logs(): string {
    const tail = (name: string): string => readFileSync(this.#path(`${name}.log`), 'utf8').slice(-1500);
    return ['munged', 'slurmctld', 'slurmd'].map((name) => `${name}: ${tail(name)}`).join('\n');
  }

  #configuration(): string {
    const host = hostname().split('.')[0]!;
    return [
      'ClusterName=hvipi',
      `SlurmctldHost=${host}(127.0.0.1)`,
      // Not the usual ports: a real cluster's daemons may run here.
      'SlurmctldPort=26817',
      'SlurmdPort=26818',
      'SlurmUser=root',
      'SlurmdUser=root',
      'AuthType=auth/munge',
      `AuthInfo=socket=${this.#path('munge/socket')}`,
      'CredType=cred/munge',
      `StateSaveLocation=${this.#path('state')}`,
      `SlurmdSpoolDir=${this.#path('spool')}`,
      `SlurmctldPidFile=${this.#path('slurmctld.pid')}`,
      `SlurmdPidFile=${this.#path('slurmd.pid')}`,
      'ProctrackType=proctrack/linuxproc',
      'TaskPlugin=task/none',
      'MpiDefault=none',
      'SelectType=select/cons_tres',
      'SelectTypeParameters=CR_CPU',
      'ReturnToService=2',
      'JobRequeue=1',
      'KillWait=5',
      'SchedulerParameters=sched_interval=2,bf_interval=2',
      // More tasks than CPUs at a time is what the test wants.
      'SlurmdParameters=config_overrides',
      `NodeName=${host} NodeAddr=127.0.0.1 CPUs=8 RealMemory=16000 State=UNKNOWN`,
      `PartitionName=main Nodes=${host} Default=YES MaxTime=INFINITE State=UP`,
      '',
    ].join('\n');
  }
}
