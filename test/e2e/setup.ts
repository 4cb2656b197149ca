import { buildTools, missingTools, toolsAvailable } from "./tools.ts";

/** Vitest's global set-up: without the programs there is nothing to try. */
export default function setup(): Promise<void> {
  if (!toolsAvailable) throw new Error(`${missingTools}; DRIFTLOCK_E2E_SKIP=1 goes on without`);
  return buildTools();
}
