import { buildTools } from "./tools.ts";

/** Vitest's global set-up: without the programs there is nothing to try. */
export default buildTools;
