/** A tenant subscribes, sends and is charged, through whole sidecars. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterEach, beforeEach, expect, it } from "vitest";
import { parseConfig } from "../../src/config/load.ts";
import { type Sidecar, startSidecar } from "../../src/sidecar/index.ts";
import { driftlock } from "../cli/driftlock.ts";
import { startDownstream } from "../forward/downstream.ts";
import { apiKey, message, StripeServer, webhookSecret } from "./stripe-server.ts";

const undo: (() => unknown)[] = [];
let stripe: StripeServer;
let folder: string;
let logged: string[];
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-billing-"));
  undo.push(() => rmSync(folder, { recursive: true, force: true }));
  stripe = await StripeServer.start();
  undo.push(() => stripe.close());
  logged = [];
});
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});

async function start(): Promise<Sidecar> {
  const target = await startDownstream("grpc");
  undo.push(() => target.close());
  const any = { endpoint: "127.0.0.1:0" };
  const config = parseConfig({
    receive: { grpc: any, http: any },
    forward: { endpoint: target.endpoint },
    api: any,
    data_dir: folder,
    limits: { records_per_day: 3 },
    billing: {
      stripe: { api_key: apiKey, webhook_secret: webhookSecret, url: stripe.url },
      meters: { records: "driftlock_records" },
      plans: [
        { name: "team", prices: ["price_1"], limits: { records_per_day: 1_000, requests_per_second: 50 } },
      ],
    },
  });
  const log = pino({}, { write: (line: string) => void logged.push(line) });
  const sidecar = await startSidecar(config, { log });
  undo.push(() => sidecar.close());
  return sidecar;
}

const json = { "content-type": "application/json" };

async function send({ addresses }: Sidecar, events: number): Promise<number> {
  const body = JSON.stringify(Array.from({ length: events }, (_, i) => ({ body: `order ${i} accepted` })));
  const answer = await fetch(`http://${addresses.api}/v1/events`, { method: "POST", headers: json, body });
  await answer.arrayBuffer();
  return answer.status;
}

async function tell({ addresses }: Sidecar, { body, headers }: ReturnType<typeof message>) {
  const answer = await fetch(`http://${addresses.api}/v1/billing/stripe`, { method: "POST", headers, body });
  return { status: answer.status, body: (await answer.json()) as { detail?: string } };
}

const planOf = async ({ addresses }: Sidecar) => (await fetch(`http://${addresses.api}/v1/plan`)).json();

it("gives a tenant the limits that it has subscribed to, and reports what it uses", async () => {
  const sidecar = await start();
  expect(await planOf(sidecar)).toEqual({ plan: null, subscribed: false, limits: { records_per_day: 3 } });
  expect(await send(sidecar, 3)).toBe(200);
  expect(await send(sidecar, 1)).toBe(429);

  stripe.subscribe("sub_1", { tenant: "default" });
  expect(await tell(sidecar, message("sub_1"))).toEqual({ status: 200, body: {} });
  // Stripe may send a message again.
  expect(await tell(sidecar, message("sub_1"))).toEqual({ status: 200, body: {} });
  expect(await planOf(sidecar)).toEqual({
    plan: "team",
    subscribed: true,
    limits: { records_per_day: 1_000, requests_per_second: 50 },
  });
  expect(await send(sidecar, 20)).toBe(200);
  await sidecar.close();
  expect(stripe.taken).toEqual([]);

  const next = await start();
  await expect
    .poll(() => stripe.taken)
    .toMatchObject([{ meter: "driftlock_records", customer: "cus_1", value: 20 }]);
  const { out, err } = await driftlock(["usage", "list", "--data_dir", folder, "--json"]);
  expect(err).toBe("");
  expect(JSON.parse(out)).toMatchObject({ tenant: "default", records: 23, reported_records: 23 });
  const { out: events } = await driftlock(["usage", "events", "--data_dir", folder]);
  expect(events).toMatch(/^EVENT.*\n$/);

  stripe.subscribe("sub_1", { tenant: "default", status: "canceled" });
  await tell(next, message("sub_1", { type: "customer.subscription.deleted" }));
  expect(await planOf(next)).toMatchObject({ plan: null, subscribed: false });
  await expect.poll(() => send(next, 1)).toBe(429);
  const { out: audit } = await driftlock(["audit", "list", "--data_dir", folder]);
  expect(audit.match(/subscription\.changed/g)).toHaveLength(2);
});

it("refuses messages that Stripe has not signed, or long ago", async () => {
  stripe.subscribe("sub_1", { tenant: "default" });
  const sidecar = await start();
  const forged = await tell(sidecar, message("sub_1", { secret: "whsec_other" }));
  expect(forged).toMatchObject({
    status: 400,
    body: { detail: expect.stringContaining("billing.stripe.webhook_secret") },
  });
  expect(await tell(sidecar, message("sub_1", { at: Date.now() - 3_600_000 }))).toMatchObject({
    status: 400,
  });
  const { body, headers } = message("sub_1");
  expect(await tell(sidecar, { body: `${body} `, headers })).toMatchObject({ status: 400 });
  expect(await tell(sidecar, { body, headers: json })).toMatchObject({ status: 400 });
  expect(await tell(sidecar, { body: "x".repeat(300_000), headers })).toMatchObject({ status: 413 });
  expect(await planOf(sidecar)).toMatchObject({ plan: null });
  expect(stripe.requests).toBe(0);
});

it("has a message sent again that cannot be processed, and ignores others", async () => {
  const sidecar = await start();
  stripe.failures.push("broken");
  stripe.subscribe("sub_1", { tenant: "default", price: "price_2" });
  expect(await tell(sidecar, message("sub_1"))).toMatchObject({ status: 503 });
  expect(logged.join("")).toContain("it will be sent again");
  expect(await tell(sidecar, message("sub_1"))).toMatchObject({ status: 200 });
  // The price belongs to no plan.
  expect(await planOf(sidecar)).toEqual({ plan: null, subscribed: true, limits: { records_per_day: 3 } });
  stripe.subscribe("sub_2", {});
  expect(await tell(sidecar, message("sub_2"))).toMatchObject({ status: 200 });
  expect(await tell(sidecar, message("sub_3", { type: "invoice.paid" }))).toMatchObject({ status: 200 });
});

it.each([
  [{ meters: { records: "r" } }, /billing\.meters.*has no effect without billing\.stripe/],
  [
    {
      plans: [
        { name: "a", prices: ["p"] },
        { name: "a", prices: ["q"] },
      ],
    },
    /billing\.plans/,
  ],
  [
    {
      plans: [
        { name: "a", prices: ["p"] },
        { name: "b", prices: ["p"] },
      ],
    },
    /billing\.plans.*share prices/,
  ],
  [{ stripe: { api_key: "sk_1" } }, /billing\.stripe\.webhook_secret/],
])("refuses the configuration %j", (billing, expected) => {
  expect(() => parseConfig({ billing })).toThrow(expected);
});
