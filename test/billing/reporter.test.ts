/** Usage on its way to a provider that fails in all ways in which a real one does. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { createStripe, UsageReporter } from "../../src/billing/index.ts";
import { parseConfig } from "../../src/config/load.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { apiKey, type Failure, StripeServer, webhookSecret } from "./stripe-server.ts";

const hourMs = 3_600_000;
let stripe: StripeServer;
let store: Store;
let now = Date.parse("2026-01-31T12:00:00Z");
let folder: string;
let lines: { msg: string }[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-billing-"));
  stripe = await StripeServer.start();
  now = Date.parse("2026-01-31T12:00:00Z");
  lines = [];
  const config = parseConfig({ data_dir: folder });
  const log = pino({ level: "silent" });
  store = await openStore(config, {
    log,
    versions: { version: "1", node: "24", codecs: {} },
    now: () => now,
    elapsed: () => now,
  });
});
afterEach(async () => {
  await store.close();
  stripe.close();
  rmSync(folder, { recursive: true, force: true });
});

async function reporter(key = apiKey): Promise<UsageReporter> {
  const { billing } = parseConfig({
    billing: {
      stripe: { api_key: key, webhook_secret: webhookSecret, url: stripe.url },
      meters: { records: "driftlock_records", bytes: "driftlock_bytes" },
    },
  });
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) });
  return new UsageReporter({
    provider: await createStripe({ ...billing, stripe: billing.stripe! }),
    billing: store.billing,
    meters: ["records", "bytes"],
    log,
  });
}

async function use(records: number, tenant = "acme"): Promise<void> {
  store.usage.add(tenant, { requests: 1, records, bytes: 100 * records });
  await store.usage.flush();
}

const subscribe = (tenant = "acme", customer = "cus_1") =>
  store.billing.subscribe({ tenant, id: `sub_${tenant}`, customer, plan: undefined, active: true }, "stripe");

const messages = () => lines.map(({ msg }) => msg);

it("reports what was used, every hour", async () => {
  await subscribe();
  await use(20);
  const reports = await reporter();
  await reports.tick();
  await use(5);
  await reports.tick();
  expect(stripe.taken.toSorted((a, b) => a.value - b.value)).toMatchObject([
    { meter: "driftlock_records", customer: "cus_1", value: 20, timestamp: now / 1_000 },
    { meter: "driftlock_bytes", customer: "cus_1", value: 2_000, timestamp: now / 1_000 },
  ]);
  now += hourMs;
  await reports.tick();
  expect([stripe.total("driftlock_records"), stripe.total("driftlock_bytes")]).toEqual([25, 2_500]);
  expect(reports.unsent).toEqual({ due: 0, refused: 0, unclear: 0 });
  await reports.close();
});

it.each<Failure[][]>([
  [["lost"]],
  [["broken"]],
  [["busy"]],
  [["forbidden"]],
  [["lost", "lost", "broken", "busy", "lost"]],
])("counts nothing twice and loses nothing after %j", async (failures) => {
  await subscribe();
  await use(20);
  stripe.failures.push(...failures);
  const reports = await reporter();
  for (let i = 0; i < 12; i++) {
    await reports.tick();
    now += 20 * 60_000;
  }
  expect([stripe.total("driftlock_records"), stripe.total("driftlock_bytes")]).toEqual([20, 2_000]);
  expect(reports.unsent).toEqual({ due: 0, refused: 0, unclear: 0 });
  expect(messages()).toEqual([
    "billing: usage cannot be reported; it is retried",
    "billing: usage is reported again",
  ]);
  await reports.close();
});

it("takes an event for reported that its client had to send twice", async () => {
  await subscribe();
  await use(20);
  stripe.failures.push("cut");
  const reports = await reporter();
  await reports.tick();
  expect(stripe.requests).toBe(3);
  expect([stripe.total("driftlock_records"), stripe.total("driftlock_bytes")]).toEqual([20, 2_000]);
  expect(reports.unsent).toEqual({ due: 0, refused: 0, unclear: 0 });
  await reports.close();
});

it("reports what a process that was killed had claimed", async () => {
  await subscribe();
  await use(20);
  await store.billing.collect(["records", "bytes"]);
  await store.billing.claim({ limit: 100, leaseMs: 300_000 });
  const reports = await reporter();
  await reports.tick();
  expect(stripe.taken).toEqual([]);
  now += 300_001;
  await reports.tick();
  expect(stripe.total("driftlock_records")).toBe(20);
  await reports.close();
});

it("leaves it to people whether an event was taken, once a repetition would be counted twice", async () => {
  await subscribe();
  await use(20);
  stripe.failures.push("lost", "lost");
  const reports = await reporter();
  await reports.tick();
  now += 25 * hourMs;
  await reports.tick();
  expect(reports.unsent).toMatchObject({ due: 0, unclear: 2 });
  expect(stripe.taken).toHaveLength(2);
  expect(messages()).toContain("billing: stripe may or may not have this event; see driftlock usage");
  await reports.close();
});

it("does not repeat an event that is refused, and goes on with others", async () => {
  await subscribe();
  await use(20);
  stripe.failures.push("refuses");
  const reports = await reporter();
  await reports.tick();
  now += 2 * hourMs;
  await use(1);
  await reports.tick();
  expect(reports.unsent).toMatchObject({ due: 0, refused: 1 });
  expect(stripe.taken).toHaveLength(3);
  await reports.close();
});

it("keeps all usage while the key is wrong", async () => {
  await subscribe();
  await use(20);
  const wrong = await reporter("sk_test_wrong");
  await wrong.tick();
  await wrong.close();
  expect(wrong.unsent).toMatchObject({ due: 2 });
  now += hourMs;
  const right = await reporter();
  await right.tick();
  expect(stripe.total("driftlock_records")).toBe(20);
  await right.close();
});

it("sends the events of one customer one after another", async () => {
  for (let i = 0; i < 6; i++) {
    await subscribe(`tenant-${i}`, `cus_${i}`);
    await use(i + 1, `tenant-${i}`);
  }
  const reports = await reporter();
  await reports.tick();
  expect(stripe.total("driftlock_records")).toBe(21);
  expect(stripe.mostAtOnce).toBe(1);
  await reports.close();
});
