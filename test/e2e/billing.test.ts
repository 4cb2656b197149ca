/** Usage is reported to stripe-mock, which checks each request against the description of Stripe's API. */
import { createHmac } from "node:crypto";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { createStripe } from "../../src/billing/index.ts";
import { parseConfig } from "../../src/config/load.ts";
import { root } from "../docs/fences.ts";
import { freePort, Program, stopAll } from "./programs.ts";

afterEach(stopAll);

const secret = "whsec_test";

async function provider(meter: string) {
  const port = await freePort();
  const mock = new Program(join(root, "build/tools/stripe-mock"), ["-http-addr", `127.0.0.1:${port}`]);
  await mock.said(/Listening for HTTP/);
  const { billing } = parseConfig({
    billing: {
      stripe: { api_key: "sk_test_4711", webhook_secret: secret, url: `http://127.0.0.1:${port}` },
      meters: { records: meter },
    },
  });
  return createStripe({ ...billing, stripe: billing.stripe! });
}

const event = {
  id: "7f3c1d52-6f4e-4f0a-9b57-2f1f6f9f2a10",
  tenant: "acme",
  customer: "cus_1",
  meter: "records",
  time: Date.parse("2026-01-31T12:00:00Z"),
  value: 2n ** 53n,
  attempts: 0,
  unclearSince: undefined,
} as const;

it("reports events as Stripe describes them", async () => {
  const stripe = await provider("driftlock_records");
  await stripe.report(event);
});

it("counts an event that Stripe does not understand as refused", async () => {
  const stripe = await provider("driftlock_records");
  await expect(stripe.report({ ...event, time: Number.NaN })).rejects.toMatchObject({ outcome: "refused" });
});

it("reads a subscription as Stripe describes it", async () => {
  const stripe = await provider("driftlock_records");
  const body = JSON.stringify({
    object: "event",
    type: "customer.subscription.updated",
    data: { object: { id: "sub_1" } },
  });
  const time = Math.floor(Date.now() / 1_000);
  const signature = createHmac("sha256", secret).update(`${time}.${body}`).digest("hex");
  // The subscription of stripe-mock names no tenant.
  expect(await stripe.received(Buffer.from(body), () => `t=${time},v1=${signature}`)).toBeUndefined();
});
