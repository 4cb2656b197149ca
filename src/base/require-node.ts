/** Refuses an unsupported Node.js when it is imported. It is imported first, so that this is the error that users see. */
import { unsupportedNode } from "./node-version.ts";

const reason = unsupportedNode(process.versions.node);
if (reason !== undefined) throw new Error(`driftlock ${reason}`);
