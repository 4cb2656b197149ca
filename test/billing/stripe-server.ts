/**
 * A server on loopback that answers as Stripe does where billing relies on it: it checks the key and the fields, refuses an identifier
 * that it has seen, and signs what it sends. Each way in which it can fail is one that a real one has.
 */
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export const apiKey = "sk_test_4711";
export const webhookSecret = "whsec_test";

export interface Recorded {
  identifier: string;
  meter: string;
  customer: string;
  value: number;
  timestamp: number;
}

/** `lost`: the event is taken, and a gateway answers with 502. `cut`: it is taken, and the connection is closed. `broken`: 500 without taking it. */
export type Failure = "lost" | "cut" | "broken" | "busy" | "forbidden" | "refuses";

const statusOf = { broken: 500, busy: 429, forbidden: 403, refuses: 400 } as const;

export class StripeServer {
  /** The events that were taken, each once. */
  readonly taken: Recorded[] = [];
  readonly subscriptions = new Map<string, object>();
  /** How the next requests fail, in turn. */
  readonly failures: Failure[] = [];
  requests = 0;
  /** The most requests of one customer that were open at once. */
  mostAtOnce = 0;
  readonly #open = new Map<string, number>();
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  static async start(): Promise<StripeServer> {
    const server = new StripeServer();
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Returns the sum of what was taken of a meter. */
  total(meter: string): number {
    return this.taken.filter((each) => each.meter === meter).reduce((sum, { value }) => sum + value, 0);
  }

  subscribe(
    id: string,
    {
      tenant,
      customer = "cus_1",
      price = "price_1",
      status = "active",
    }: {
      tenant?: string;
      customer?: string;
      price?: string;
      status?: string;
    },
  ): void {
    const item = { object: "subscription_item", price: { object: "price", id: price, lookup_key: null } };
    this.subscriptions.set(id, {
      id,
      object: "subscription",
      customer,
      status,
      metadata: tenant === undefined ? {} : { driftlock_tenant: tenant },
      items: { object: "list", data: [item] },
    });
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += chunk;
    this.requests += 1;
    const fail = (status: number, message: string, type = "invalid_request_error") =>
      json(response, status, { error: { type, message } });
    const given = request.headers.authorization;
    if (given !== `Bearer ${apiKey}`) return fail(401, "Invalid API Key provided");
    const failure = this.failures.shift();
    if (failure !== undefined && failure !== "lost" && failure !== "cut")
      return fail(statusOf[failure], `it ${failure}`, failure === "broken" ? "api_error" : undefined);
    const [, id] = /^\/v1\/subscriptions\/(\w+)$/.exec(request.url!) ?? [];
    if (id !== undefined) {
      const found = this.subscriptions.get(id);
      return found === undefined ? fail(404, `No such subscription: '${id}'`) : json(response, 200, found);
    }
    if (request.method !== "POST" || request.url !== "/v1/billing/meter_events")
      return fail(404, "Unrecognized request URL");
    const form = new URLSearchParams(body);
    const event: Recorded = {
      identifier: form.get("identifier")!,
      meter: form.get("event_name")!,
      customer: form.get("payload[stripe_customer_id]")!,
      value: Number(form.get("payload[value]")),
      timestamp: Number(form.get("timestamp")),
    };
    const open = (this.#open.get(event.customer) ?? 0) + 1;
    this.#open.set(event.customer, open);
    this.mostAtOnce = Math.max(this.mostAtOnce, open);
    await new Promise((resolve) => setImmediate(resolve));
    this.#open.set(event.customer, open - 1);
    if (this.taken.some(({ identifier }) => identifier === event.identifier)) {
      return fail(400, `An event already exists with identifier ${event.identifier}.`);
    }
    this.taken.push(event);
    if (failure === "cut") return void request.socket.destroy();
    if (failure === "lost") return fail(502, "Bad Gateway", "api_error");
    json(response, 200, { object: "billing.meter_event", ...event });
  }
}

/** Returns a message about a subscription, and its signature. */
export function message(
  subscription: string,
  { type = "customer.subscription.updated", secret = webhookSecret, at = Date.now() } = {},
): { body: string; headers: Record<string, string> } {
  const object = { id: subscription, object: "subscription", status: "incomplete" };
  const body = JSON.stringify({ id: "evt_1", object: "event", type, data: { object } });
  const time = Math.floor(at / 1_000);
  const v1 = createHmac("sha256", secret).update(`${time}.${body}`).digest("hex");
  return { body, headers: { "content-type": "application/json", "stripe-signature": `t=${time},v1=${v1}` } };
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}
