#!/usr/bin/env node
/** Checks the version of Node.js before anything is loaded that an older one could not even parse. */
import module from "node:module";
import { fileURLToPath } from "node:url";
import { unsupportedNode } from "../base/node-version.ts";
import { suitHeap } from "./run/heap.ts";

const reason = unsupportedNode(process.versions.node);
if (reason === undefined) {
  // Before the cache, since code is compiled anew if V8's flags have changed since it was compiled.
  if (process.argv[2] === "run") suitHeap();
  // Compiled code is kept beside the code itself, where nobody can write who cannot change that; not in a shared folder for
  // temporary files. If the folder cannot be written, everything is compiled at each start.
  module.enableCompileCache(fileURLToPath(new URL("../../build/compile-cache", import.meta.url)));
  import("./start.ts");
} else {
  process.stderr.write(`driftlock: ${reason}\n`);
  process.exitCode = 1;
}
