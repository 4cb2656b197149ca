import { describe, expect, it } from "vitest";
import { IdempotencyKeys } from "../../src/api/ingest/idempotency.ts";

/** Claims a key, and keeps the answer if one is given. */
function take(keys: IdempotencyKeys, tenant: string, key: string, answer?: unknown) {
  const claim = keys.claim(tenant, key, "body", 0);
  if (claim.kind === "first" && answer !== undefined) claim.keep(answer);
  return claim.kind;
}

describe("idempotency keys", () => {
  it("of one tenant give way to its own, not to another's", () => {
    const keys = new IdempotencyKeys();
    take(keys, "quiet", "one", 1);
    for (let i = 0; i < 60_000; i++) take(keys, "noisy", `key-${i}`, 1);
    expect(take(keys, "noisy", "key-59999")).toBe("again");
    expect(take(keys, "quiet", "one")).toBe("again");
    expect(take(keys, "noisy", "key-0")).toBe("first");
  });

  it("give way to others when their answers take too much, the largest holder's first", () => {
    const keys = new IdempotencyKeys();
    take(keys, "quiet", "one", "small");
    for (let i = 0; i < 40; i++) take(keys, "noisy", `key-${i}`, "x".repeat(2 ** 20));
    expect(take(keys, "noisy", "key-39")).toBe("again");
    expect(take(keys, "quiet", "one")).toBe("again");
    expect(take(keys, "noisy", "key-0")).toBe("first");
  });

  it("of requests in work stay", () => {
    const keys = new IdempotencyKeys();
    take(keys, "noisy", "slow");
    for (let i = 0; i < 60_000; i++) take(keys, "noisy", `key-${i}`, 1);
    expect(take(keys, "noisy", "slow")).toBe("in work");
  });

  it("are free again after an hour", () => {
    const keys = new IdempotencyKeys();
    take(keys, "a", "one", 1);
    expect(keys.claim("a", "one", "other", 3_599_999).kind).toBe("other body");
    expect(keys.claim("a", "one", "other", 3_600_000).kind).toBe("first");
  });
});
