import { afterEach, describe, expect, it, vi } from "vitest";
import { Limiter } from "../../src/access/limits.ts";
import { Metering } from "../../src/access/metering.ts";
import { configSchema } from "../../src/config/schema.ts";
import { Code, type ExportError } from "../../src/otlp/protocol.ts";
import { silent } from "../store/fixtures.ts";

const limits = (input: object) => configSchema.parse({ limits: input }).limits;

/** Returns the refusal; undefined if the request is admitted. */
function refusal(
  work: () => void,
): { code: Code; retryAfterMs: number | undefined; message: string } | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    const { code, retryAfterMs, message } = error as ExportError;
    return { code, retryAfterMs, message };
  }
}

describe("rates", () => {
  let now = 1_000_000;
  const limiter = (input: object, today = { records: 0, bytes: 0, endsIn: 0 }) =>
    new Limiter(
      () => limits(input),
      () => today,
      { now: () => now },
    );

  it("let a tenant use two seconds' worth at once, then so many a second", () => {
    const limited = limiter({ requests_per_second: 10 });
    for (let i = 0; i < 20; i++) limited.admitIngest("a");
    expect(refusal(() => limited.admitIngest("a"))).toEqual({
      code: Code.RESOURCE_EXHAUSTED,
      retryAfterMs: 100,
      message: "the tenant exceeds limits.requests_per_second (10); try again later",
    });
    limited.admitIngest("b");
    limited.admitQuery("a");
    now += 100;
    limited.admitIngest("a");
    expect(refusal(() => limited.admitIngest("a"))).toBeDefined();
  });

  it("let a request of unknown size through, and those after it wait for the debt", () => {
    const limited = limiter({ records_per_second: 100, bytes_per_second: 1_000 });
    limited.admitIngest("a");
    limited.charge("a", { records: 700, bytes: 10 });
    expect(refusal(() => limited.admitIngest("a"))).toMatchObject({ retryAfterMs: 5_010 });
    now += 5_010;
    limited.admitIngest("a");
    limited.charge("a", { bytes: 5_000 });
    expect(refusal(() => limited.admitIngest("a"))!.message).toContain("bytes_per_second");
    // Queries have a limit of their own.
    limited.admitQuery("a");
  });

  it("change with the tenant's plan", () => {
    let plan = { requests_per_second: 1 };
    const limited = new Limiter(
      () => plan,
      () => ({ records: 0, bytes: 0, endsIn: 0 }),
      { now: () => now },
    );
    for (let i = 0; i < 2; i++) limited.admitIngest("a");
    expect(refusal(() => limited.admitIngest("a"))?.message).toContain("(1)");
    plan = { requests_per_second: 5 };
    for (let i = 0; i < 10; i++) limited.admitIngest("a");
    expect(refusal(() => limited.admitIngest("a"))?.message).toContain("(5)");
  });

  it("of a day end at midnight", () => {
    const today = { records: 999, bytes: 5, endsIn: 7_000 };
    const limited = limiter({ records_per_day: 1_000, bytes_per_day: "1KiB" }, today);
    limited.admitIngest("a");
    today.records = 1_000;
    expect(refusal(() => limited.admitIngest("a"))).toMatchObject({
      code: Code.RESOURCE_EXHAUSTED,
      retryAfterMs: 7_000,
      message: expect.stringContaining("records_per_day"),
    });
    Object.assign(today, { records: 0, bytes: 1_024 });
    expect(refusal(() => limited.admitIngest("a"))!.message).toContain("bytes_per_day");
  });

  it("hold no more than so many tenants, and forget idle ones first", () => {
    const limited = limiter({ requests_per_second: 1 });
    for (let i = 0; i < 10_000; i++) limited.admitIngest(`tenant-${i}`);
    limited.admitIngest("tenant-9999");
    now += 1_500;
    limited.admitIngest("tenant-9999");
    // All but the last are full again.
    limited.admitIngest("another");
    expect(refusal(() => limited.admitIngest("tenant-9999"))).toBeDefined();
  });
});

const unreported = { reported_requests: 0n, reported_records: 0n, reported_bytes: 0n };

describe("metering", () => {
  it("counts what is taken, and adds what the store knows of the day", async () => {
    const added: unknown[] = [];
    let read = 0;
    const metering = new Metering(
      {},
      () => limits({ records_per_day: 100 }),
      {
        add: (tenant, amount) => void added.push({ tenant, ...amount }),
        async list(tenant, { from }) {
          read++;
          return [{ tenant, day: from, requests: 9n, records: 95n, bytes: 9n, ...unreported }];
        },
      },
      silent,
    );
    const { limiter } = metering;
    limiter.admitIngest("a");
    await expect.poll(() => read).toBe(1);
    limiter.admitIngest("a");
    metering.charge("a", { records: 5, bytes: 10 });
    limiter.admitIngest("a");
    metering.countAccepted("a", { records: 5, bytes: 10 });
    expect(refusal(() => limiter.admitIngest("a"))!.message).toContain("records_per_day (100)");
    expect(added).toEqual([{ tenant: "a", requests: 1, records: 5, bytes: 10 }]);
    expect(read).toBe(1);
  });
});

describe("while the machine's clock steps", () => {
  afterEach(() => vi.useRealTimers());
  const day = 86_400_000;
  const steps = [-5_000, -605_000, 605_000, -day, day, 100 * day];

  it.each(steps)("by %i ms, rates neither refuse nor forget", (step) => {
    const limiter = new Limiter(
      () => limits({ requests_per_second: 2 }),
      () => ({
        records: 0,
        bytes: 0,
        endsIn: 0,
      }),
    );
    for (let i = 0; i < 3; i++) limiter.admitIngest("a");
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + step });
    limiter.admitIngest("a");
    expect(refusal(() => limiter.admitIngest("a"))?.retryAfterMs).toBeLessThanOrEqual(500);
  });

  it.each(steps)("by %i ms, the day's count stays", (step) => {
    const metering = new Metering(
      {},
      () => limits({ records_per_day: 100 }),
      { add: () => {}, list: async () => [] },
      silent,
    );
    metering.limiter.admitIngest("a");
    metering.countAccepted("a", { records: 99, bytes: 1 });
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + step });
    metering.limiter.admitIngest("a");
    metering.countAccepted("a", { records: 1, bytes: 1 });
    expect(refusal(() => metering.limiter.admitIngest("a"))?.message).toContain("records_per_day");
  });
});
