/** Which versions of Node this works with. It imports nothing, so that any Node from 14 on can run it (as `cli.ts`). */

/** As in package.json, `engines`. */
const oldest = [20, 19] as const;

/**
 * A line for the user of an older Node; null when it is new enough.
 *
 * @param command how this program is called; npx puts the Node of npm in front of the own one for it.
 */
export function oldNodeComplaint(version: string, command: string): string | null {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) return null;
  return `this is Node ${version}, and ${oldest.join('.')} or newer is needed; the package "node" of npm has one: npx -p node@24 ${command.replace(/^npx /, '')}`;
}
