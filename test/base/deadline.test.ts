import { expect, test } from "vitest";
import { endsWithin, maxTimerMs } from "../../src/base/deadline.ts";

const never = new Promise(() => {});

test("work that ends in time, work that does not, and work that fails", async () => {
  expect(await endsWithin(maxTimerMs + 1, Promise.resolve())).toBe(true);
  expect(await endsWithin(1, never)).toBe(false);
  expect(await endsWithin(-5, never)).toBe(false);
  await expect(endsWithin(60_000, Promise.reject(new Error("no")))).rejects.toThrow("no");
});

test("work that fails after its time goes unnoticed", async () => {
  const work = Promise.withResolvers<void>();
  expect(await endsWithin(1, work.promise)).toBe(false);
  work.reject(new Error("too late"));
  await new Promise((resolve) => setTimeout(resolve, 5));
});
