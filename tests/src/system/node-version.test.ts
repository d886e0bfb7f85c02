import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { oldNodeComplaint } from '../../../src/system/node-version.ts';
import { packageRoot } from '../../../src/system/own-command.ts';

describe('oldNodeComplaint', () => {
  it.each(['12.22.0', '18.20.8', '20.18.3'])('should refuse %s and say what to do', (version) => {
    expect(oldNodeComplaint(version, 'hvipi')).toMatch(
      new RegExp(`^this is Node ${version}, and 20\\.19 or newer is needed; [^\\n]+$`),
    );
  });

  it.each(['20.19.0', '20.20.2', '22.0.0', '24.1.0'])('should take %s', (version) => {
    expect(oldNodeComplaint(version, 'hvipi')).toBeNull();
  });

  it.each([
    ['npm run -s hvipi --', 'npx -p node@24 npm run -s hvipi --'],
    ['npx hvipi', 'npx -p node@24 hvipi'],
    ['hvipi', 'npx -p node@24 hvipi'],
  ])('should have npx put a newer Node in front of %s', (command, expected) => {
    expect(oldNodeComplaint('18.20.8', command)?.endsWith(`: ${expected}`)).toBe(true);
  });

  it('should agree with package.json', () => {
    const { engines } = JSON.parse(readFileSync(join(packageRoot(), 'package.json'), 'utf8')) as {
      engines: { node: string };
    };
    const [major, minor] = engines.node.replace('>=', '').split('.').map(Number);
    expect(oldNodeComplaint(`${major}.${minor}.0`, 'hvipi')).toBeNull();
    expect(oldNodeComplaint(`${major}.${minor! - 1}.9`, 'hvipi')).not.toBeNull();
  });
});
