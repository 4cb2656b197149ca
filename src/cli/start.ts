/** The command line of this process. */
import process from "node:process";
import { dispatch } from "./commands.ts";

// A reader such as `head` closes the pipe early, which is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit();
  process.stderr.write(`driftlock: cannot write the output: ${error.message}\n`);
  process.exit(1);
});

process.exitCode = await dispatch(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  env: process.env,
});

// Whatever still keeps the process alive, such as a stuck thread or a half-closed socket, does not do so for long.
setTimeout(() => process.exit(), 250).unref();
