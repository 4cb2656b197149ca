import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { distance, nearest } from "../../src/base/nearest.ts";

const word = fc.string({ maxLength: 12, unit: fc.constantFrom("a", "b", "c", "_") });

describe("distance", () => {
  it("counts insertions, deletions, substitutions and swaps", () => {
    expect(distance("endpoint", "endpoint")).toBe(0);
    expect(distance("endpont", "endpoint")).toBe(1);
    expect(distance("endpioint", "endpoint")).toBe(1);
    expect(distance("endpaint", "endpoint")).toBe(1);
    expect(distance("endpiont", "endpoint")).toBe(1);
    expect(distance("", "abc")).toBe(3);
    // Restricted: a swapped pair is not edited again (the unrestricted distance is 2).
    expect(distance("ca", "abc")).toBe(3);
  });

  it("is symmetric, zero for equals alone, at most the longer length", () => {
    fc.assert(
      fc.property(word, word, (a, b) => {
        const edits = distance(a, b);
        expect(edits).toBe(distance(b, a));
        expect(edits === 0).toBe(a === b);
        expect(edits).toBeGreaterThanOrEqual(Math.abs(a.length - b.length));
        expect(edits).toBeLessThanOrEqual(Math.max(a.length, b.length));
      }),
    );
  });
});

describe("nearest", () => {
  it("finds what was meant, and nothing where nothing is near", () => {
    const known = ["receive", "detect", "forward", "api"];
    expect(nearest("recieve", known)).toBe("receive");
    expect(nearest("Forward", known)).toBe("forward");
    expect(nearest("ap", known)).toBe("api");
    expect(nearest("x", known)).toBeUndefined();
    expect(nearest("storage", known)).toBeUndefined();
    expect(nearest("f".repeat(1_000_000), known)).toBeUndefined();
  });
});
