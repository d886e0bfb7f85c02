/** `npm run docs`: writes the pages that are made from code. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { deviations } from '../../oracle/tlfs/deviations.ts';
import { knownFolder, ownCorpusFolder } from '../campaign/corpus.ts';
import { parseCase } from '../case/case.ts';
import { deviationsPage } from './deviations-page.ts';
import { exhaustivePage } from './exhaustive-page.ts';

const corpus = ownCorpusFolder();
const folder = join(dirname(corpus), 'docs');
const cases = new Map(
  deviations.map(({ name }) => [name, parseCase(readFileSync(join(corpus, knownFolder, `${name}.json`), 'utf8'))]),
);
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, 'deviations.md'), deviationsPage(cases));
writeFileSync(join(folder, 'exhaustive.md'), exhaustivePage());
