/** The WebAssembly module computes the same reports as the addon. */
import { existsSync, readFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { recompute } from "../../src/index.ts";
import { loadRecompute, type Recompute, RecomputeError } from "../../src/verify/wasm.ts";
import { firstReportsOfShop, firstReportsOn } from "../engine/first-reports.ts";
import { firstReportsOnOwn } from "../engine/own-detectors.ts";
import { otlpSets } from "../golden/otlp-sets.ts";

const path = "build/wasm/driftlock-verify.wasm";

// It needs a compiler that not every machine has: "make wasm" says which.
describe.skipIf(!existsSync(path))("driftlock-verify.wasm", () => {
  let again: Recompute;
  beforeAll(async () => {
    again = await loadRecompute(readFileSync(path));
  });

  /** Compares all that the module can compute, which is all but texts compressed by OpenZL. */
  function compare(recordings: Uint8Array[]): number {
    let equal = 0;
    for (const recording of recordings) {
      let bytes: Uint8Array;
      try {
        bytes = again(recording);
      } catch (error) {
        expect(error).toMatchObject({ code: "ERR_DRIFTLOCK_NEEDS_ADDON" });
        continue;
      }
      expect(Buffer.from(bytes).equals(recompute(recording).bytes)).toBe(true);
      equal += 1;
    }
    return equal;
  }

  it("computes the verdicts on a shop again", async () => {
    const recordings = (await firstReportsOfShop()).flatMap(({ recording }) => recording ?? []);
    expect(compare(recordings) / recordings.length).toBeGreaterThan(0.9);
  });

  it("computes the verdicts on all sets again", async () => {
    let [all, equal] = [0, 0];
    for (const set of await otlpSets()) {
      const recordings = (await firstReportsOn(set)).flatMap(({ recording }) => recording ?? []);
      all += recordings.length;
      equal += compare(recordings);
    }
    expect(equal / all).toBeGreaterThan(0.5);
  });

  it("computes verdicts again that depend on patterns and allow-lists, without RE2", async () => {
    const recordings = (await firstReportsOnOwn()).map(({ recording }) => recording!);
    expect(recordings.length).toBeGreaterThan(10);
    expect(compare(recordings)).toBe(recordings.length);
  });

  it("says why it cannot", () => {
    expect(() => again(new Uint8Array([255]))).toThrow(RecomputeError);
    expect(() => again(new Uint8Array([255]))).toThrow(/damaged/);
    expect(() => again(new Uint8Array())).toThrow(/format 0/);
  });
});
