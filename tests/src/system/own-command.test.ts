import { describe, expect, it } from 'vitest';
import { hvipiCommand, ownVersion, programName } from '../../../src/system/own-command.ts';

describe('hvipiCommand', () => {
  it('should quote what a shell would take apart', () => {
    expect(hvipiCommand('fuzz', '--seed', "it's")).toBe(`npm run -s hvipi -- fuzz --seed 'it'\\''s'`);
  });
});

describe('programName', () => {
  it.each([
    ['/home/me/hvipi', {}, 'npm run -s hvipi --'],
    ['/usr/lib/node_modules/hvipi', {}, 'hvipi'],
    ['/home/me/x/node_modules/hvipi', { npm_command: 'exec' }, 'npx hvipi'],
  ])('should be what was typed for %s with %j: %s', (root, env, name) => {
    expect(programName(root, env)).toBe(name);
  });
});

describe('ownVersion', () => {
  it('should be a version', () => {
    expect(ownVersion()).toMatch(/^\d+\.\d+\.\d+/);
  });
});
