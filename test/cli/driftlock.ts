/** Runs the CLI in this process, and returns what it writes. */
import { dispatch } from "../../src/cli/commands.ts";

export async function driftlock(args: string[], env: NodeJS.ProcessEnv = {}) {
  let out = "";
  let err = "";
  const code = await dispatch(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    env,
  });
  return { code, out, err };
}
