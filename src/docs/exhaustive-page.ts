/** `docs/exhaustive.md`: the spaces that `fuzz --exhaustive` walks, and how large they are. */
import { casesOf, type Space, spaces } from '../../generators/spaces/spaces.ts';
import { formatCount } from '../campaign/text/table.ts';

/** The page; walks all spaces to count their points. */
export function exhaustivePage(): string {
  const sizes = spaces.map((space) => ({ space, ...sizeOf(space) }));
  const total = sizes.reduce((sum, { points }) => sum + points, 0);
  const rows = sizes.map(
    ({ space, points, cases }) =>
      `| \`${space.name}\` | ${space.what} | ${formatCount(points)} | ${formatCount(cases)} |`,
  );
  return `${[
    '# Spaces that are walked completely\n',
    '_For users who want a part of the input tried without gaps._\n',
    'Written by `npm run docs` from `generators/spaces/spaces.ts`. A point is one hypercall whose fields are the next combination;',
    'points that do not disturb each other share a case. `fuzz --exhaustive NAME` walks one space, `--exhaustive all` all of',
    'them, and says how many points it checked; what differs is shrunk and saved as any finding is.\n',
    '| space | what | points | cases |',
    '| --- | --- | --- | --- |',
    ...rows,
    `| all | | ${formatCount(total)} | |`,
  ].join('\n')}\n`;
}

function sizeOf(space: Space): { points: number; cases: number } {
  let points = 0;
  let cases = 0;
  for (const one of casesOf(space)) {
    points += one.points;
    cases++;
  }
  return { points, cases };
}
