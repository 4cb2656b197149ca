import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    exclude: ["test/e2e/**"],
    testTimeout: 30_000,
    // The default leaves a core free, and so runs one file at a time on two cores.
    maxWorkers: "100%",
    // What is waited for comes when it comes: no test is about how soon.
    expect: { poll: { timeout: 20_000 } },
  },
});
