#!/usr/bin/env node
import process from "node:process";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 12)) {
  process.stderr.write(`driftlock: needs Node 22.12 or later, this is ${process.versions.node}\n`);
  process.exit(1);
}

// `driftlock help | head` closes the pipe early: that is no fault.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit();
  process.stderr.write(`driftlock: cannot write the output: ${error.message}\n`);
  process.exit(1);
});

const { dispatch } = await import("./commands.ts");
process.exitCode = await dispatch(process.argv.slice(2), {
  out: (text) => process.stdout.write(text),
  err: (text) => process.stderr.write(text),
  env: process.env,
});

// What still holds the process (a stuck thread, a socket half closed) does not hold it for long.
setTimeout(() => process.exit(), 250).unref();
