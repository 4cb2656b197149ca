import { afterEach, describe, expect, it } from "vitest";
import { hostileSoak } from "./hostile/soak.ts";
import { stopAll } from "./programs.ts";

afterEach(stopAll);

describe("hostile senders", () => {
  it("take nothing from honest ones", async () => {
    const { alone, beside, missing, exitCode, lastWords } = await hostileSoak({
      aloneSeconds: 5,
      besideSeconds: 25,
      rate: 1_000,
    });
    expect(alone.acknowledged).toBe(alone.sent);
    expect(beside.sent).toBeGreaterThan(0);
    expect(beside.acknowledged).toBeGreaterThanOrEqual(0.9 * beside.sent);
    expect(missing).toBe(0);
    expect(beside.peakMemory).toBeLessThan(1.5 * 2 ** 30);
    expect(exitCode, lastWords).toBe(0);
  }, 240_000);
});
