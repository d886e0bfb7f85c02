/** Boots real kernels and breaks them. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { makeCase, makeStep } from '../../src/case/case.ts';
import { encodeCase } from '../../src/program/encode.ts';
import { InfrastructureError } from '../../src/errors.ts';
import { cacheRoot } from '../../src/system/cache.ts';
import { cachedKernels, debianSeries } from '../../src/lab/kernel/debian-kernel.ts';
import { handLimits } from '../../src/hand/operations.ts';
import { Script } from '../../src/hand/script.ts';
import type { Lab } from '../../src/lab/lab.ts';
import { LabHand } from '../../src/lab/lab-hand.ts';
import { isLabMissing, openTestLab as open } from './support.ts';
import { testedKernels } from './tested-kernels.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const program = encodeCase(
  makeCase([{ vpIndex: 0 }, { vpIndex: 1 }], [makeStep({ do: 'send-ipi', vector: 0xf0, targets: [1] })]),
);
const exact = { exact: true } as const;
const programs = { hasPrograms: true } as const;

describe.each(testedKernels)('lab with %s', (spec) => {
  describe.skipIf(isLabMissing)('running', () => {
    let lab: Lab;
    beforeAll(async () => {
      lab = await open(spec, programs);
    });
    afterAll(async () => lab[Symbol.asyncDispose]());

    it('should boot the kernel that was asked for, with Hyper-V in its KVM', () => {
      expect(lab.facts.kernelRelease).toMatch(new RegExp(`^${spec.replace('debian:', '').replace('.', '\\.')}`));
      expect(lab.facts).toMatchObject({ target: 'lab', cpu: 'AuthenticAMD' });
    });

    it('should run programs, several batches at a time', async () => {
      const batches = await Promise.all([1, 2, 3].map((count) => lab.run(Array(count).fill(program), exact)));
      expect(batches.map(({ length }) => length)).toEqual([1, 2, 3]);
    });

    it('should run commands and pass on output and exit code', async () => {
      const { exitCode, output } = await lab.exec(['sh', '-c', 'echo out; echo err >&2; exit 7']);
      expect([exitCode, output.toString()]).toEqual([7, 'out\nerr\n']);
    });

    it('should show the host neither as a file system nor as a network', async () => {
      const text = await lab.shellOutput('cut -d" " -f3 /proc/mounts | sort -u; ls /sys/class/net /sys/block');
      expect(text).not.toMatch(/9p|virtiofs|ext4|eth0|vda/);
    });

    it('should leave a program that prints the words of a failure alone', async () => {
      await lab.shellOutput('echo "traps: hand[7] general protection fault ip:1" > /dev/kmsg');
      await expect(lab.run([program], exact)).resolves.toHaveLength(1);
    });

    it('should fail a run that the kernel warned about, and go on', async () => {
      const lines = [
        'WARNING: CPU: 0 PID: 9 at arch/x86/kvm/hyperv.c:1 kvm_test+0x1/0x2 [kvm]',
        '---[ end trace 0 ]---',
      ];
      // Where a thread of the kernel prints, the lines may come behind the end of the command.
      const prints = [...lines.map((line) => `echo "<4>${line}" > /dev/kmsg`), 'sleep 0.5'];
      const warn = lab.shellOutput(prints.join('; '));
      const fingerprint = 'WARNING: at arch/x86/kvm/hyperv.c:1 kvm_test [kvm]';
      await expect(warn).rejects.toMatchObject({ name: 'KernelFailure', kind: 'warning', fingerprint });
      await expect(lab.run([program], exact)).resolves.toHaveLength(1);
    });
  });
});

describe.skipIf(isLabMissing)('lab from a saved state', () => {
  const [spec] = testedKernels;
  const cache = mkdtempSync(join(tmpdir(), 'hvipi-test-'));
  beforeAll(() => {
    for (const part of ['kernels', 'initramfs']) symlinkSync(join(cacheRoot(), part), join(cache, part));
    vi.stubEnv('HVIPI_CACHE', cache);
  });
  afterAll(() => {
    vi.unstubAllEnvs();
    rmSync(cache, { recursive: true });
  });

  it('should show the same as one that booted, and the console of the boot', async () => {
    const observations: unknown[] = [];
    for (let start = 0; start < 2; start++) {
      await using lab = await open(spec, programs);
      observations.push(await lab.run([program], exact));
      expect(await lab.shellOutput('dmesg')).toContain('Linux version');
    }
    expect(observations[1]).toEqual(observations[0]);
    expect(readdirSync(join(cache, 'states'))).toHaveLength(1);
  });

  it('should boot, and say so in a line, when the state cannot be loaded', async () => {
    const [state] = readdirSync(join(cache, 'states'));
    writeFileSync(join(cache, 'states', state!, 'devices'), 'no state of QEMU');
    const said: string[] = [];
    await using lab = await open(spec, { ...programs, say: (line) => said.push(line) });
    await expect(lab.run([program], exact)).resolves.toHaveLength(1);
    expect(said).toEqual([expect.stringMatching(/^the saved state of the lab cannot be loaded, so it boots: .+$/)]);
    expect(readdirSync(join(cache, 'states'))).toEqual([]);
  });
});

describe('lab that fails', () => {
  const [spec] = testedKernels;

  describe.skipIf(isLabMissing)('with a kernel that works', () => {
    it('should name a crash by where it happened', async () => {
      await using lab = await open(spec, programs);
      const crash = lab.exec(['sh', '-c', 'echo c > /proc/sysrq-trigger']);
      await expect(crash).rejects.toMatchObject({
        kind: 'oops',
        fingerprint: expect.stringContaining('sysrq_handle_crash'),
        console: expect.stringContaining('Call Trace:'),
      });
    });

    it('should call a silent hand a hang', async () => {
      await using lab = await open(spec, { silenceSeconds: 3 });
      const script = new Script();
      script.case(0);
      // Of a VM without vCPUs nobody ever writes this word.
      const vm = handLimits.vms - 1;
      script.add('createVm', { vm, memoryBytes: 4096 });
      script.add('waitForWord', { vm, offset: 0, milliseconds: 10_000 });
      vi.spyOn(LabHand.prototype, 'run').mockImplementation(function (this: LabHand, _, patienceMs) {
        vi.restoreAllMocks();
        return this.run(script.finish(), patienceMs);
      });
      // Most often its CPU idles then; the hand looks once a millisecond.
      const fingerprint = expect.stringMatching(/^no answer from the lab for 3 s; /) as string;
      await expect(lab.run([program], exact)).rejects.toMatchObject({ kind: 'hang', fingerprint });
    });

    it('should blame the infrastructure when QEMU dies, and leave nothing behind', async () => {
      const folder = temporaryFolder();
      vi.stubEnv('TMPDIR', folder);
      const lab = await open(spec, programs);
      const waiting = lab.exec(['sleep', '60']);
      process.kill(qemuPid(), 'SIGKILL');
      await expect(waiting).rejects.toEqual(new InfrastructureError('QEMU ended: killed by SIGKILL'));
      await lab[Symbol.asyncDispose]();
      vi.unstubAllEnvs();
      expect(readdirSync(folder)).toEqual([]);
    });

    it('should say in one line why a kernel cannot be used, and keep its console', async () => {
      const folder = temporaryFolder();
      const kernel = join(folder, 'vmlinuz');
      // No modules beside it, so it has no KVM.
      writeFileSync(kernel, readFileSync(cachedKernels(debianSeries(spec)!)[0]!.bzImage));
      const error = (await open(kernel).catch((failure: Error) => failure)) as Error;
      expect(error).toBeInstanceOf(InfrastructureError);
      expect(error.message).toMatch(/^[^\n]*no (?:\/dev\/kvm|virtio-serial port)[^\n]*; console log: [^\n]*$/);
      const log = /console log: (.*)$/.exec(error.message)![1]!;
      expect(readFileSync(log, 'latin1')).toContain('Linux version');
      rmSync(log);
    });
  });
});

/** The QEMU among the children of this process. */
function qemuPid(): number {
  const threads = readdirSync('/proc/self/task');
  const children = threads.flatMap((thread) => {
    const path = `/proc/self/task/${thread}/children`;
    return existsSync(path) ? readFileSync(path, 'utf8').split(' ').filter(Boolean) : [];
  });
  const found = children.find((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('qemu'));
  return Number(found);
}
