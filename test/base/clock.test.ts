import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { SteadyClock } from "../../src/base/clock.ts";

const start = Date.UTC(2026, 0, 31);
const minute = 60_000;
const day = 1_440 * minute;

describe("a steady clock", () => {
  let [wall, elapsed] = [0, 0];
  let clock: SteadyClock;
  beforeEach(() => {
    [wall, elapsed] = [start, 5_000.25];
    clock = new SteadyClock(
      () => wall,
      () => elapsed,
    );
  });
  const pass = (ms: number) => {
    wall += ms;
    elapsed += ms;
  };

  it("goes with the machine's clock, small steps included", () => {
    expect(clock.now()).toBe(start);
    pass(day);
    expect(clock.now()).toBe(start + day);
    wall -= 2 * minute;
    expect(clock.now()).toBe(start + day - 2 * minute);
    expect(clock.evenFor()).toBe(day);
  });

  it.each([100 * day, day, 3 * minute, -3 * minute, -day, -20_000 * day])(
    "goes on as before while the machine's clock is wrong by %i ms for a while",
    (step) => {
      pass(minute);
      wall += step;
      expect(clock.now()).toBe(start + minute);
      expect(clock.evenFor()).toBeUndefined();
      pass(4 * minute);
      expect(clock.now()).toBe(start + 5 * minute);
      wall -= step;
      expect(clock.now()).toBe(start + 5 * minute);
      expect(clock.evenFor()).toBe(0);
      pass(day);
      expect(clock.now()).toBe(start + 5 * minute + day);
      expect(clock.evenFor()).toBe(day);
    },
  );

  it("believes a step that lasts, and no other before it", () => {
    wall += 100 * day;
    clock.now();
    pass(4 * minute);
    wall += day;
    expect(clock.now()).toBe(start + 4 * minute);
    pass(4 * minute);
    expect(clock.now()).toBe(start + 8 * minute);
    pass(minute);
    expect(clock.now()).toBe(start + 101 * day + 9 * minute);
    // The step counts from when it was first seen.
    expect(clock.evenFor()).toBe(5 * minute);
  });
});

describe("while the machine's clock steps", () => {
  afterEach(() => vi.useRealTimers());

  it("the process's own goes on", async () => {
    const { steadyClock } = await import("../../src/base/clock.ts");
    const before = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now: before - day });
    expect(steadyClock.now()).toBeGreaterThanOrEqual(before - 1);
  });
});
