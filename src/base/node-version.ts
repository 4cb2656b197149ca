/**
 * The oldest release of each Node.js line that Driftlock supports: security releases of January 2026, without which a
 * sender can end the process through HTTP/2 or TLS. `engines` in package.json says the same. This module uses nothing
 * that an older Node.js lacks, since it has to run there.
 */
const lines = [
  { major: 22, minor: 22 },
  { major: 24, minor: 13 },
];

/** The minimum in words. */
export const minimumNode = lines.map(({ major, minor }) => `${major}.${minor}`).join(" or ");

/** Completes "driftlock …" if this version of Node.js cannot run it; undefined if it can. */
export function unsupportedNode(version: string): string | undefined {
  const [major, minor] = version.split(".").map(Number) as [number, number];
  const line = lines.find((each) => each.major === major);
  const supported = line ? minor >= line.minor : major > lines[lines.length - 1]!.major;
  if (supported) return undefined;
  return `needs Node.js ${minimumNode}, or later in these lines; this is ${version}`;
}
