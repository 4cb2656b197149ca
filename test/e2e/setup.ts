import { buildTools, missingTools, toolsAvailable } from "./tools.ts";

/** Vitest's global set-up: nothing can be tested without the programs. */
export default function setup(): Promise<void> {
  if (!toolsAvailable) throw new Error(`${missingTools}; DRIFTLOCK_E2E_SKIP=1 goes on without`);
  return buildTools();
}
