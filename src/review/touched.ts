/** What a patch touches: files, functions, lines, and the words on the lines that it changes. */
import { execa } from 'execa';

export interface TouchedPlace {
  /** Path below the tree. */
  readonly file: string;
  /** The function around the change, as diff finds it; "" at the top of a file. */
  readonly function: string;
  /** First and last line of the change in the file after the patch. */
  readonly lines: readonly [number, number];
  /** First and last line that is taken away, in the file before the patch; null where none is. */
  readonly removed: readonly [number, number] | null;
  /** First and last line that is put in, in the file after the patch; null where none is. */
  readonly added: readonly [number, number] | null;
  /** The text that is taken away and put in. */
  readonly text: string;
}

/** The places in which two states of a file differ; a state that is not there is `/dev/null`. */
export async function touchedPlaces(file: string, before: string, after: string): Promise<TouchedPlace[]> {
  // What `-p` takes for the head of a function may be a label.
  const args = ['-N', '-U0', '-F', '^[[:alpha:]_].*(', before, after];
  const { stdout } = await execa('diff', args, { reject: false, env: { LC_ALL: 'C' } });
  return parsePlaces(file, stdout);
}

/** The places of a unified diff without context. */
export function parsePlaces(file: string, diff: string): TouchedPlace[] {
  const places: TouchedPlace[] = [];
  for (const hunk of diff.split(/^(?=@@ )/m).slice(1)) {
    const head = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@ ?(.*)$/m.exec(hunk);
    if (head === null) continue;
    const removed = rangeOf(head[1]!, head[2]);
    const added = rangeOf(head[3]!, head[4]);
    const first = Number(head[3]);
    const text = hunk
      .split('\n')
      .slice(1)
      .filter((line) => /^[+-]/.test(line))
      .map((line) => line.slice(1))
      .join('\n');
    places.push({ file, function: functionName(head[5]!), lines: added ?? [first, first], removed, added, text });
  }
  return places;
}

function rangeOf(first: string, count = '1'): [number, number] | null {
  return count === '0' ? null : [Number(first), Number(first) + Number(count) - 1];
}

/** `kvm_hv_send_ipi` of `static u64 kvm_hv_send_ipi(struct kvm_vcpu *vcpu, ...`. */
function functionName(line: string): string {
  return /(\w+)\s*\(/.exec(line)?.[1] ?? line.trim();
}

/** Whether the patch changes nothing but blanks and empty lines. */
export function isWhitespaceOnly(places: readonly TouchedPlace[]): boolean {
  return places.every(({ text }) => text.trim() === '');
}

/** `kvm_hv_send_ipi (arch/x86/kvm/hyperv.c:2291-2293)`, one text a function. */
export function describePlaces(places: readonly TouchedPlace[]): string[] {
  const byFunction = new Map<string, TouchedPlace[]>();
  for (const place of places) {
    const key = `${place.file} ${place.function}`;
    byFunction.set(key, [...(byFunction.get(key) ?? []), place]);
  }
  return [...byFunction.values()].map((list) => {
    const lines = list.map(({ lines: [first, last] }) => (first === last ? `${first}` : `${first}-${last}`));
    return `${list[0]!.function || 'top of the file'} (${list[0]!.file}:${lines.join(',')})`;
  });
}
