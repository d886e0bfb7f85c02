import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { formatCase, makeCase, makeStep } from '../../../src/case/case.ts';
import { temporaryFolder } from '../../temporary-folder.ts';
import { run } from './run.ts';

const folder = temporaryFolder(afterAll);
const file = (name: string): string => join(folder, name);
const good = makeCase([{ vpIndex: 0 }], [makeStep({ do: 'send-ipi', targets: [0] })]);
const wrongField = { ...JSON.parse(formatCase(good)), steps: [{ do: 'send-ipi', vector: 'many' }] };

beforeAll(() => {
  writeFileSync(file('good.json'), formatCase(good));
  writeFileSync(file('wrong-field.json'), JSON.stringify(wrongField));
  writeFileSync(file('newer.json'), JSON.stringify({ schema: 'hvipi/case/2' }));
  writeFileSync(file('newer-finding.json'), JSON.stringify({ schema: 'hvipi/finding/9' }));
  writeFileSync(file('no-json.json'), '{');
  writeFileSync(file('bad-path.json'), JSON.stringify({ seed: 'x', path: 'first' }));
  writeFileSync(file('no-path.json'), JSON.stringify({ seed: 'x' }));
  mkdirSync(file('empty'));
});

const badInput: [string[], RegExp][] = [
  [[], /give a verb/],
  [['fuzz', '--jobs', '65'], /'--jobs <N>' argument '65' is invalid. there are 1 to 64/],
  [['fuzz', '--jobs', '2', '--target', 'host'], /--jobs goes with --target lab and model/],
  [['fuzz', '--nope'], /unknown option '--nope'/],
  [['nope'], /unknown command 'nope'/],
  [['campaign', 'start'], /missing required argument 'DIR'/],
  [['campaign', 'start', file('x'), '--target', 'model', '--shard', '4/4'], /a shard is i\/n with i from 0 to n-1/],
  [['campaign', 'start', file('x'), '--target', 'model', '--shard', '1/4'], /shards need a --seed/],
  [['campaign', 'start', file('x'), '--target', 'model', '--until', 'bored'], /it is stable or stable:TIME/],
  [['campaign', 'start', file('x'), '--target', 'model', '--disk', '5'], /a size is like 500M or 2G/],
  [['campaign', 'start', file('x'), '--target', 'model', '--known', file('no-json.json')], /no-json\.json: /],
  [['campaign', 'start', file('x'), '--kvm-modules', file('missing')], /--kvm-modules .*missing: no such folder/],
  [['campaign', 'resume', file('missing')], /missing: no such directory/],
  [['campaign', 'status', file('empty')], /empty: no campaign here/],
  [['campaign', 'report', file('empty'), '--format', 'pdf'], /--format pdf: there are html, md/],
  [['campaign', 'merge', file('merged'), file('empty')], /empty: no campaign here/],
  [['fuzz', 'extra'], /too many arguments/],
  [['fuzz', '--target', 'moon'], /--target moon: there are lab, host, ssh:HOST, model and model:MUTANT/],
  [['fuzz', '--target', 'model:nope'], /--target model:nope: no such mutant; there are .*skips-self/],
  [['fuzz', '--target', 'lab:x'], /only model takes a mutant/],
  [['fuzz', '--target', 'model', '--kvm-modules', '/tmp'], /--kvm-modules goes with --target lab only/],
  [['fuzz', '--target', 'model', '--contract', 'mine'], /--contract mine: there are kvm and tlfs/],
  [['fuzz', '--target', 'model', '--coverage'], /--coverage goes with --target lab only/],
  [['fuzz', '--coverage', '--kvm-modules', '/tmp'], /--coverage builds its own modules/],
  [['fuzz', '--target', 'model', '--time', 'soon'], /a time is like 60s/],
  [['fuzz', '--target', 'model', '--time', '0s'], /a time is like 60s/],
  [['fuzz', '--target', 'model', '--runs', '0'], /at least 1/],
  [['fuzz', '--target', 'model', '--from-batch', '-1'], /whole number/],
  [['fuzz', '--target', 'model', '--seed', ''], /not empty/],
  [['replay', '--target', 'model'], /give a file, or --seed and --path/],
  [['replay', '--target', 'model', '--seed', 'x'], /--seed and --path go together/],
  [['replay', '--target', 'model', '--seed', 'x', '--path', '7'], /a path is batch:index/],
  [['replay', '--target', 'model', file('missing.json')], /missing\.json: no such file/],
  [['replay', '--target', 'model', file('empty')], /empty: no JSON file in this folder/],
  [['replay', '--target', 'model', file('wrong-field.json')], /wrong-field\.json: steps\[0\]\.vector: not a vector/],
  [['replay', '--target', 'model', file('newer.json')], /newer\.json: schema: .* a newer hvipi wrote it/],
  [['replay', '--target', 'model', file('newer-finding.json')], /newer-finding\.json: schema: is "hvipi\/finding\/9"/],
  [['replay', '--target', 'model', file('no-json.json')], /no-json\.json: not JSON/],
  [['replay', '--target', 'model', file('bad-path.json')], /path first: a path is batch:index/],
  [['replay', '--target', 'model', file('no-path.json')], /no-path\.json: path: /],
  [['explain', file('wrong-field.json')], /steps\[0\]\.vector/],
  [
    ['explain', '--kernel', 'debian:5', file('good.json')],
    /--kernel debian:5: known without running it are debian:7.3, debian:7.2, debian:6.12, debian:6.1/,
  ],
  [['corpus', 'check', file('missing')], /missing: no such folder/],
];

describe('main', () => {
  it.each(badInput)('should refuse %j with one line and exit code 2', async (argv, line) => {
    const { exitCode, stdout, stderr } = await run(...argv);
    const lines = stderr
      .trimEnd()
      .split('\n')
      .filter((each) => !/^hvipi: (seed|kernel) /.test(each));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^hvipi: /);
    expect(lines[0]).toMatch(line);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
  });

  it('should list the verbs that there are, and only those', async () => {
    const { exitCode, stdout } = await run('--help');
    expect(exitCode).toBe(0);
    const verbs = 'fuzz replay explain compare review export bisect corpus campaign lab doctor'.split(' ');
    const listed = [...stdout.matchAll(/^ {2}([a-z]+) .*$/gm)].map(([, verb]) => verb!);
    expect(listed.filter((verb) => verb !== 'help')).toEqual(verbs);
  });
});

describe('fuzz', () => {
  it('should exit with 0 and the same hash twice when there is no finding', async () => {
    const argv = ['fuzz', '--target', 'model', '--runs', '200', '--seed', 'cli', '--json'];
    const [first, second] = [await run(...argv), await run(...argv)];
    expect(first.exitCode).toBe(0);
    const report = JSON.parse(first.stdout);
    expect(report).toMatchObject({
      schema: 'hvipi/fuzz/1',
      target: { kernelRelease: 'model', cpu: 'model', irqchips: ['kernel', 'split', 'none'], xen: true },
      seed: 'cli',
      findings: [],
      exitCode: 0,
    });
    expect(report.cases).toBe(200 + report.corpusCases);
    expect(report.streamHash).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.parse(second.stdout).streamHash).toBe(report.streamHash);
  });

  it('should exit with 1 and print the finding, whose replay shows it again', async () => {
    const out = join(folder, 'findings');
    const fuzz = await run(
      'fuzz',
      '--target',
      'model:drops-bank-1',
      '--seed',
      'cli',
      '--no-corpus',
      '--out',
      out,
      '--json',
    );
    expect(fuzz.exitCode).toBe(1);
    const [finding] = JSON.parse(fuzz.stdout).findings;
    expect(finding).toMatchObject({
      class: 'divergence',
      confirmed: '10/10',
      case: { machine: { vcpus: [{ vpIndex: 64 }] } },
    });
    const argv = finding.replay.split(' -- ')[1].split(' ');
    const again = await run(...argv);
    expect(again.exitCode).toBe(1);
    expect(again.stdout).toContain(`DIVERGENCE ${finding.signature}`);
    const fixed = await run('replay', `${out}/${finding.id}.json`, '--target', 'model');
    expect(fixed.exitCode).toBe(0);
  });

  it('should print a finding whole that it cannot save', async () => {
    const out = join(file('good.json'), 'sub');
    const { exitCode, stdout, stderr } = await run(
      'fuzz',
      '--target',
      'model:skips-self',
      '--seed',
      'cli',
      '--out',
      out,
    );
    expect(exitCode).toBe(1);
    expect(stderr.split('\n').filter((line) => line.includes('cannot save'))).toHaveLength(1);
    const json = stdout.slice(stdout.indexOf('\n{'), stdout.indexOf('\n}') + 2);
    expect(JSON.parse(json)).toMatchObject({ schema: 'hvipi/finding/1', confirmed: '10/10' });
  });

  it('should stop after its time, print the seed and the command to go on', async () => {
    const { exitCode, stdout, stderr } = await run('fuzz', '--target', 'model', '--time', '0.2s', '--no-corpus');
    expect(exitCode).toBe(0);
    const [, seed] = /^seed +(\S+)$/m.exec(stdout)!;
    expect(stderr).toContain(`seed ${seed}`);
    expect(stdout).toMatch(
      new RegExp(`^go on +npm run -s hvipi -- fuzz --seed ${seed} --from-batch [1-9]\\d* --target model$`, 'm'),
    );
  });
});

describe('--contract tlfs', () => {
  const known = 'corpus/known/bad-vector-status.json';

  it('should fuzz to listed deviations and exit with 0', async () => {
    const argv = ['fuzz', '--target', 'model', '--runs', '600', '--seed', 'cli', '--contract', 'tlfs'];
    const { exitCode, stdout } = await run(...argv, '--json');
    const report = JSON.parse(stdout);
    expect({ exitCode, contract: report.contract, findings: report.findings }).toEqual({
      exitCode: 0,
      contract: 'tlfs',
      findings: [],
    });
    expect(report.corpusCases).toBe(0);
    expect(report.resume).toContain('--contract tlfs');
    expect(report.deviations[0]).toMatchObject({
      id: 'D01',
      name: 'bad-vector-status',
      permitted: 'HV_STATUS_INVALID_PARAMETER (5) or #UD (vector 6)',
      observed: 'HV_STATUS_INVALID_HYPERCALL_INPUT (3)',
      confirmed: '10/10',
    });
    const text = await run(...argv);
    expect(text.stdout).toMatch(/^deviations \d+ of 16 that are listed$/m);
  });

  it('should replay with both contracts side by side and exit with 0', async () => {
    const { exitCode, stdout } = await run('replay', known, '--target', 'model', '--contract', 'tlfs');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /step 1 +HV_STATUS_INVALID_PARAMETER \(5\) or #UD \(vector 6\) +HV_STATUS_INVALID_HYPERCALL_INPUT \(3\)/,
    );
    expect(stdout).toContain('DEVIATION bad-vector-status');
    const plain = await run('replay', known, '--target', 'model');
    expect(plain).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('match: ') });
  });

  it('should be explained beside the other contract', async () => {
    const { exitCode, stdout } = await run('explain', known);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('> vector-out-of-range            certain');
    expect(stdout).toContain('verdict deviation bad-vector-status (D01)');
  });
});

describe('doctor', () => {
  it('should say what there is and what is missing', async () => {
    const { exitCode, stdout } = await run('doctor');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^ok +node +v\d+/m);
  });
});

describe('replay', () => {
  it('should follow the selftest stage by stage', async () => {
    const { exitCode, stdout } = await run('replay', 'corpus/selftest-hyperv-ipi.json', '--target', 'model');
    expect(exitCode).toBe(0);
    expect(stdout.match(/^step \d+ of 10: .+$/gm)).toHaveLength(10);
    const last = stdout.slice(stdout.indexOf('step 10 of 10'));
    expect(last).toMatch(/vCPU 1 \(VP 2\) +handlers 8 so far, now 0xfe.* handlers 8 so far, now 0xfe/);
    expect(last).toMatch(/vCPU 2 \(VP 65\) +handlers 6 so far, now 0xfe.* handlers 6 so far, now 0xfe/);
  });

  it('should run a generated case by seed and path, from the command line and from a file', async () => {
    writeFileSync(file('drawn.json'), JSON.stringify({ seed: 'cli', path: '1:3' }));
    const named = await run('replay', '--seed', 'cli', '--path', '1:3', '--target', 'model', '--json');
    const read = await run('replay', file('drawn.json'), '--target', 'model', '--json');
    expect(named.exitCode).toBe(0);
    expect(JSON.parse(read.stdout).results[0].case).toEqual(JSON.parse(named.stdout).results[0].case);
  });

  it('should tell a bad file in one line, run the others, and exit with the worst', async () => {
    const args = [file('no-json.json'), file('good.json'), file('missing.json'), '--target', 'model'];
    const { exitCode, stdout, stderr } = await run('replay', ...args);
    expect(exitCode).toBe(2);
    expect(stdout).toContain('1 of 1 cases match; 2 that cannot be read did not run\n');
    expect(stderr).toMatch(/^hvipi: .*no-json\.json: not JSON/m);
    expect(stderr).toMatch(/^hvipi: .*missing\.json: no such file$/m);

    const ex = 'corpus/send-ipi-ex-11-banks-fast.json';
    const shown = await run('replay', file('no-json.json'), ex, '--target', 'model:xmm-half-swapped', '--json');
    const json = JSON.parse(shown.stdout);
    expect({ exitCode: shown.exitCode, inJson: json.exitCode }).toEqual({ exitCode: 1, inJson: 1 });
    expect(json.refused).toEqual([{ name: file('no-json.json'), error: expect.stringContaining('not JSON') }]);
  });

  it('should run a whole folder and count what matches', async () => {
    const { exitCode, stdout } = await run('replay', 'corpus', '--target', 'model');
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^(\d+) of \1 cases match$/m);
  });
});

describe('explain', () => {
  it('should tell a bad file and explain the others', async () => {
    const { exitCode, stdout, stderr } = await run('explain', file('no-json.json'), file('good.json'));
    expect(exitCode).toBe(2);
    expect(stdout).toContain('> deliver ');
    expect(stderr).toMatch(/^hvipi: .*no-json\.json: not JSON.*\n$/);
  });

  it('should name the rule that decides', async () => {
    const { exitCode, stdout } = await run('explain', file('good.json'));
    expect(exitCode).toBe(0);
    expect(stdout).toContain('> deliver ');
    const json = await run('explain', file('good.json'), '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ schema: 'hvipi/explain/1' });
  });
});

describe('corpus', () => {
  it('should list and check the corpus of this checkout', async () => {
    const list = await run('corpus', 'list');
    expect(list.stdout).toContain('corpus/selftest-hyperv-ipi.json');
    const check = await run('corpus', 'check');
    expect(check).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(' 0 complaints') });
  });

  it('should complain by file and field', async () => {
    const corpus = join(folder, 'corpus');
    mkdirSync(corpus);
    writeFileSync(join(corpus, 'send-ipi-good.json'), formatCase({ ...good, why: 'to see that it is good' }));
    writeFileSync(join(corpus, 'send-ipi-twin.json'), JSON.stringify(JSON.parse(formatCase(good))));
    writeFileSync(join(corpus, 'send-ipi-ex-other.json'), formatCase({ ...good, why: 'the same again' }));
    mkdirSync(join(corpus, 'known'));
    writeFileSync(join(corpus, 'known', 'stray.json'), formatCase({ ...good, why: 'no deviation' }));
    writeFileSync(join(corpus, 'Wrong.json'), JSON.stringify(wrongField));
    const { exitCode, stdout } = await run('corpus', 'check', corpus, '--json');
    expect(exitCode).toBe(2);
    const complaints = JSON.parse(stdout).complaints.map(({ file: path, field }: { file: string; field: string }) => [
      path.split('/').at(-1),
      field,
    ]);
    expect(complaints).toEqual([
      ['Wrong.json', 'steps[0].vector'],
      ['stray.json', 'file name'],
      ['send-ipi-ex-other.json', 'file name'],
      ['send-ipi-ex-other.json', 'case'],
      ['send-ipi-good.json', 'case'],
      ['send-ipi-twin.json', 'text'],
      ['send-ipi-twin.json', 'why'],
      ['send-ipi-twin.json', 'case'],
    ]);
  });
});
