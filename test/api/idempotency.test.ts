import { describe, expect, it } from "vitest";
import { OwnKeys } from "../../src/api/ingest/idempotency.ts";

/** Claims a key, and keeps the answer if one is given. */
async function take(keys: OwnKeys, tenant: string, key: string, answer?: unknown) {
  const claim = await keys.claim(tenant, key, "body");
  if (claim.kind === "first" && answer !== undefined) await claim.keep(answer);
  return claim.kind;
}

describe("idempotency keys", () => {
  it("of one tenant give way to its own, not to another's", async () => {
    const keys = new OwnKeys();
    await take(keys, "quiet", "one", 1);
    for (let i = 0; i < 60_000; i++) await take(keys, "noisy", `key-${i}`, 1);
    expect(await take(keys, "noisy", "key-59999")).toBe("again");
    expect(await take(keys, "quiet", "one")).toBe("again");
    expect(await take(keys, "noisy", "key-0")).toBe("first");
  });

  it("give way to others when their answers take too much, the largest holder's first", async () => {
    const keys = new OwnKeys();
    await take(keys, "quiet", "one", "small");
    for (let i = 0; i < 40; i++) await take(keys, "noisy", `key-${i}`, "x".repeat(2 ** 20));
    expect(await take(keys, "noisy", "key-39")).toBe("again");
    expect(await take(keys, "quiet", "one")).toBe("again");
    expect(await take(keys, "noisy", "key-0")).toBe("first");
  });

  it("of requests in work stay", async () => {
    const keys = new OwnKeys();
    await take(keys, "noisy", "slow");
    for (let i = 0; i < 60_000; i++) await take(keys, "noisy", `key-${i}`, 1);
    expect(await take(keys, "noisy", "slow")).toBe("in work");
  });

  it("are free again after an hour", async () => {
    let now = 0;
    const keys = new OwnKeys(() => now);
    await take(keys, "a", "one", 1);
    now = 3_599_999;
    expect((await keys.claim("a", "one", "other")).kind).toBe("other body");
    now = 3_600_000;
    expect((await keys.claim("a", "one", "other")).kind).toBe("first");
  });
});
