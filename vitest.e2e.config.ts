import process from "node:process";
import { defineConfig } from "vitest/config";
import { missingTools, toolsAvailable } from "./test/e2e/tools.ts";

/** Set to 1 where the OpenTelemetry programs cannot be had; else that is a failure. */
const skip = !toolsAvailable && process.env.DRIFTLOCK_E2E_SKIP === "1";
if (skip) console.warn(`end-to-end tests SKIPPED, as DRIFTLOCK_E2E_SKIP=1 allows: ${missingTools}`);

export default defineConfig({
  test: {
    include: skip ? [] : ["test/e2e/**/*.test.ts"],
    passWithNoTests: skip,
    globalSetup: skip ? [] : ["test/e2e/setup.ts"],
    // Each test has a handful of processes: one file after the other leaves them the machine.
    fileParallelism: false,
    testTimeout: 90_000,
    hookTimeout: 60_000,
  },
});
