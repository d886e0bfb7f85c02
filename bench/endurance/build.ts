/** `npm run bench:broken-kvm`: builds the KVM that fails in three ways and prints its folder, for `--kvm-modules`. */
import { prepareSource } from '../../src/build/source.ts';
import { Builder } from '../mutants/build.ts';
import { brokenKvm } from './broken-kvm.ts';

const say = (line: string): void => void process.stderr.write(`broken-kvm: ${line}\n`);
const source = await prepareSource({ install: 'auto', say });
process.stdout.write(`${await new Builder(source, say).build(brokenKvm)}\n`);
