import { afterEach, describe, expect, it } from "vitest";
import { stopAll } from "./programs.ts";
import { soak } from "./soak.ts";

afterEach(stopAll);

describe("a soak", () => {
  it("of half a minute, with a downstream that comes and goes, loses nothing", async () => {
    const report = await soak({ seconds: 25, rate: 2_000, pause: [3, 6] });
    expect(report.sent).toBeGreaterThan(0);
    expect(report.refused).toBe(0);
    expect(report.acknowledged).toBe(report.sent);
    expect(report.missing).toBe(0);
    expect(report.received).toBe(report.sent);
    expect(report.ended.SIGKILL).toBeGreaterThan(0);
    expect(report.ended.SIGTERM).toBeGreaterThan(0);
    expect(report.exitCode).toBe(0);
  }, 240_000);
});
