import { versions } from "../../version.ts";
import { helpText } from "../shared/help.ts";
import { exit, type Io } from "../shared/io.ts";
import { parseOptions } from "../shared/parse-options.ts";

export const help = helpText({
  usage: ["version [--json]"],
  about: "Prints the versions of Driftlock, of Node.js and of the codecs in the addon.",
  options: [["--json", "print one JSON object"]],
  config: false,
  exit: ["The versions were printed.", "The addon cannot be loaded."],
});

export async function run(args: string[], io: Io): Promise<number> {
  const json = parseOptions(args, { switches: ["json"] }).switches.has("json");
  if (!json) {
    const { version, node } = versions({});
    // This is printed before the addon is loaded, so that a support case has a version even if that fails.
    io.out(`driftlock ${version}\nnode ${node}\n`);
  }
  const { native } = await import("../../native.ts");
  if (json) io.out(`${JSON.stringify(versions(native.versions))}\n`);
  else for (const [name, version] of Object.entries(native.versions)) io.out(`${name} ${version}\n`);
  return exit.ok;
}
