import { parseArgs } from "node:util";
import { versions } from "../../telemetry/version.ts";
import { exit, type Io } from "../shared/io.ts";

export const help = `Usage: driftlock version [--json]

Prints the version of Driftlock, of Node and of the libraries in the addon.

  --json  as one JSON object
`;

export async function run(args: string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args, options: { json: { type: "boolean" } } });
  if (!values.json) {
    const { version, node } = versions({});
    // Before the addon, so that a support case without one still has a version.
    io.out(`driftlock ${version}\nnode ${node}\n`);
  }
  const { native } = await import("../../native.ts");
  if (values.json) io.out(`${JSON.stringify(versions(native.versions))}\n`);
  else for (const [name, version] of Object.entries(native.versions)) io.out(`${name} ${version}\n`);
  return exit.ok;
}
