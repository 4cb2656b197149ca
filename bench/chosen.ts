/** Which benches the command line names. */
import process from "node:process";

/** Returns the names given on the command line, or all if none is; ends the process if one is unknown. */
export function chosen(benches: object): string[] {
  const all = Object.keys(benches);
  const names = process.argv.slice(2);
  const unknown = names.filter((name) => !all.includes(name));
  if (unknown.length > 0) {
    process.stderr.write(`unknown bench ${unknown.join(", ")}: one of ${all.join(", ")}\n`);
    process.exit(2);
  }
  return names.length > 0 ? names : all;
}
