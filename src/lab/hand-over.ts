/** Puts a file into a running lab, through its shell: nothing is needed of the lab but that it runs programs. */
import { gzipSync } from 'node:zlib';
import type { Lab } from './lab.ts';

/** Linux refuses a single argument of 128 KiB (MAX_ARG_STRLEN). */
const pieceBytes = 96 * 1024;

/** Writes an executable file to `path`, a plain name below /tmp. */
export async function handOver(lab: Lab, bytes: Buffer, path: string): Promise<void> {
  const text = gzipSync(bytes).toString('base64');
  await lab.shellOutput(`rm -f ${path} ${path}.gz.base64`);
  for (let at = 0; at < text.length; at += pieceBytes) {
    const piece = text.slice(at, at + pieceBytes);
    await lab.shellOutput(`mkdir -p /tmp && echo '${piece}' >> ${path}.gz.base64`);
  }
  await lab.shellOutput(`base64 -d < ${path}.gz.base64 | gunzip > ${path} && chmod +x ${path}`);
}
