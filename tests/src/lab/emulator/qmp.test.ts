import { connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { InfrastructureError } from '../../../../src/errors.ts';
import { Qmp } from '../../../../src/lab/emulator/qmp.ts';
import { temporaryFolder } from '../../../temporary-folder.ts';

let folder: string;
let server: Server;
let qmp: Qmp;
/** QEMU's end: what it was asked, and the socket to answer through. */
let asked: string[];
let qemu: Socket;

beforeEach(async () => {
  folder = temporaryFolder();
  const path = join(folder, 'qmp');
  asked = [];
  const accepted = new Promise<Socket>((resolve) => (server = createServer(resolve).listen(path)));
  qemu = connect(path);
  qemu.setEncoding('utf8').on('data', (text: string) => asked.push(...text.trim().split('\n')));
  qmp = new Qmp(await accepted);
});
afterEach(() => {
  qemu.destroy();
  server.close();
});

describe('Qmp', () => {
  it('should answer commands in order, whatever events and pieces come in between', async () => {
    const answers = [qmp.execute('query-migrate'), qmp.execute('cont')];
    qemu.write('{"QMP": {}}\n{"return": {}}\n{"event": "STOP"}\n{"retu');
    qemu.write('rn": {"status": "active"}}\n{"return": {}}\n');
    expect(await Promise.all(answers)).toEqual([{ status: 'active' }, {}]);
    expect(asked.map((line) => JSON.parse(line).execute)).toEqual(['qmp_capabilities', 'query-migrate', 'cont']);
  });

  it("should fail a command that is refused, with QEMU's words", async () => {
    const answer = qmp.execute('migrate', { uri: 'x' });
    qemu.write('{"return": {}}\n{"error": {"class": "GenericError", "desc": "no such thing"}}\n');
    await expect(answer).rejects.toEqual(new InfrastructureError('QEMU refuses migrate: no such thing'));
  });

  it('should fail what waits, and what comes later, when QEMU ends', async () => {
    const answer = qmp.execute('stop');
    qemu.destroy();
    await expect(answer).rejects.toThrow('QEMU ended before it answered stop');
    await expect(qmp.execute('cont')).rejects.toThrow('QEMU has ended before cont');
  });
});
