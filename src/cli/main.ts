#!/usr/bin/env node
/** Checks the version of Node.js before anything is loaded that an older one could not even parse. */
import { unsupportedNode } from "../base/node-version.ts";

const reason = unsupportedNode(process.versions.node);
if (reason === undefined) {
  import("./start.ts");
} else {
  process.stderr.write(`driftlock: ${reason}\n`);
  process.exitCode = 1;
}
