/** Describes a small shop: its services, what customers do, and what the services log and trace of it. */
import { SeverityNumber } from "../gen/opentelemetry/proto/logs/v1/logs_pb.js";
import { Span_SpanKind as Kind } from "../gen/opentelemetry/proto/trace/v1/trace_pb.js";
import type { Random } from "./random.ts";

export const services = ["frontend", "checkout", "payments", "inventory", "notifications"] as const;
export type Service = (typeof services)[number];

export type Attributes = Record<string, string | number | boolean>;

/** The variables of the logs and spans of one visit. */
export interface Visit {
  random: Random;
  user: string;
  session: string;
  order: string;
  sku: string;
  product: string;
  quantity: number;
  amount: string;
  currency: string;
  address: string;
  card: string;
  declined: boolean;
  missing: boolean;
  slow: boolean;
}

export interface Template {
  name: string;
  severity: SeverityNumber;
  body(visit: Visit): string;
  attributes?(visit: Visit): Attributes;
}

/** A span with the logs of its service. */
export interface Operation {
  service: Service;
  name: string;
  kind: Kind;
  /** Median of its own time without that of its calls, which is log-normally distributed. */
  milliseconds: number;
  attributes?(visit: Visit): Attributes;
  /** The error that ends it, if any. */
  failure?(visit: Visit): { type: string; message: string } | undefined;
  logs?(visit: Visit): Template[];
  calls?: Operation[];
}

export interface Journey {
  /** Frequency in relation to the others. */
  weight: number;
  operation: Operation;
  /** Background work has logs only. */
  traced: boolean;
}

const products = ["espresso machine", "desk lamp", "wool blanket", "chess set", "rain jacket", "tea kettle"];

export function visit(random: Random): Visit {
  const sku = random.int(10_000, 10_400);
  return {
    random,
    user: `u-${random.int(1_000, 99_999)}`,
    session: random.hex(16),
    order: random.uuid(),
    sku: `SKU-${sku}`,
    product: products[sku % products.length]!,
    quantity: random.int(1, 5),
    amount: `${random.int(4, 480)}.${random.int(10, 99)}`,
    currency: random.pick(["EUR", "EUR", "EUR", "USD", "CHF"]),
    address: `10.${random.int(0, 40)}.${random.int(0, 255)}.${random.int(1, 254)}`,
    card: String(random.int(1_000, 9_999)),
    declined: random.chance(0.02),
    missing: random.chance(0.015),
    slow: random.chance(0.01),
  };
}

function template(
  name: string,
  severity: SeverityNumber,
  body: Template["body"],
  attributes?: Template["attributes"],
): Template {
  return attributes ? { name, severity, body, attributes } : { name, severity, body };
}

const { DEBUG, INFO, WARN } = SeverityNumber;
const ms = (v: Visit, low: number, high: number) => v.random.int(low, high);

export const templates = {
  served: template(
    "frontend.served",
    INFO,
    (v) => `GET /products/${v.sku} 200 in ${ms(v, 8, 90)} ms for ${v.address}`,
    (v) => ({ "http.route": "/products/{sku}", "enduser.id": v.user }),
  ),
  notFound: template(
    "frontend.not-found",
    WARN,
    (v) => `GET /products/${v.sku} 404: no such product, referred by /search`,
    () => ({ "http.route": "/products/{sku}" }),
  ),
  searched: template(
    "frontend.searched",
    INFO,
    (v) => `Search for "${v.product}" found ${ms(v, 1, 48)} products in ${ms(v, 4, 60)} ms`,
    (v) => ({ "http.route": "/search", "session.id": v.session }),
  ),
  session: template(
    "frontend.session",
    DEBUG,
    (v) => `Session ${v.session} renewed, expires in ${ms(v, 1_200, 3_600)} s`,
  ),
  health: template(
    "frontend.health",
    DEBUG,
    (v) => `Health check passed: ${ms(v, 4, 40)} open connections, event loop lag ${ms(v, 0, 9)} ms`,
  ),
  added: template(
    "checkout.added",
    INFO,
    (v) => `Added ${v.quantity} x ${v.sku} (${v.product}) to the cart of user ${v.user}`,
    (v) => ({ "enduser.id": v.user, "cart.items": v.quantity }),
  ),
  placing: template(
    "checkout.placing",
    INFO,
    (v) => `Placing order ${v.order} of user ${v.user}: ${v.quantity} items, ${v.amount} ${v.currency}`,
    (v) => ({ "enduser.id": v.user, "order.currency": v.currency }),
  ),
  placed: template(
    "checkout.placed",
    INFO,
    (v) => `Order ${v.order} placed in ${ms(v, 40, 400)} ms`,
    (v) => ({ "order.currency": v.currency }),
  ),
  refused: template(
    "checkout.refused",
    WARN,
    (v) => `Order ${v.order} not placed: payment was declined, cart kept for user ${v.user}`,
    (v) => ({ "order.currency": v.currency }),
  ),
  swept: template(
    "checkout.swept",
    DEBUG,
    (v) => `Cart sweep removed ${ms(v, 0, 30)} carts idle for more than 24 h`,
  ),
  charging: template(
    "payments.charging",
    INFO,
    (v) => `Charging ${v.amount} ${v.currency} to card ending in ${v.card} for order ${v.order}`,
    (v) => ({ "payment.provider": "cardgate", "order.currency": v.currency }),
  ),
  charged: template(
    "payments.charged",
    INFO,
    (v) => `Charge ch_${v.random.hex(20)} authorised by issuer in ${ms(v, 30, 300)} ms`,
    () => ({ "payment.provider": "cardgate" }),
  ),
  declined: template(
    "payments.declined",
    WARN,
    (v) => `Charge for order ${v.order} declined by issuer: insufficient_funds`,
    () => ({ "payment.provider": "cardgate" }),
  ),
  settled: template(
    "payments.settled",
    INFO,
    (v) => `Settlement batch ${ms(v, 1_000, 9_999)}: ${ms(v, 5, 90)} charges matched, 0 open`,
  ),
  token: template("payments.token", DEBUG, (v) => `Gateway token renewed, valid for ${ms(v, 280, 300)} s`),
  reserved: template(
    "inventory.reserved",
    INFO,
    (v) => `Reserved ${v.quantity} of ${v.sku}, ${ms(v, 5, 900)} left in warehouse ${ms(v, 1, 4)}`,
    (v) => ({ "product.sku": v.sku }),
  ),
  looked: template(
    "inventory.looked",
    DEBUG,
    (v) => `Looked up ${v.sku} in ${ms(v, 1, 12)} ms, cache ${v.random.chance(0.8) ? "hit" : "miss"}`,
    (v) => ({ "product.sku": v.sku }),
  ),
  slow: template(
    "inventory.slow",
    WARN,
    (v) => `Slow query: SELECT FROM stock WHERE sku = ? took ${ms(v, 200, 900)} ms`,
    () => ({ "db.system.name": "postgresql" }),
  ),
  synced: template(
    "inventory.synced",
    INFO,
    (v) => `Stock sync with warehouse ${ms(v, 1, 4)}: ${ms(v, 10, 400)} rows, ${ms(v, 0, 5)} corrected`,
  ),
  received: template(
    "notifications.received",
    DEBUG,
    (v) => `Received order.placed for ${v.order} from partition ${ms(v, 0, 11)} at offset ${ms(v, 1e5, 9e5)}`,
    () => ({ "messaging.system": "kafka" }),
  ),
  rendered: template(
    "notifications.rendered",
    DEBUG,
    (v) => `Rendered receipt for order ${v.order}, ${ms(v, 2_000, 9_000)} bytes`,
  ),
  mailed: template(
    "notifications.mailed",
    INFO,
    (v) => `Mail relay accepted message <${v.random.hex(12)}@shop.example> for user ${v.user}`,
    () => ({ "mail.template": "receipt" }),
  ),
  polled: template(
    "notifications.polled",
    DEBUG,
    (v) => `Consumer group mailer committed offset ${ms(v, 1e5, 9e5)}, lag ${ms(v, 0, 20)}`,
    () => ({ "messaging.system": "kafka" }),
  ),
} as const satisfies Record<string, Template>;

/** Creates a remote call: the client's span in `from`, with the server's span as its child. */
function rpc(from: Service, operation: Operation): Operation {
  const server = { "rpc.system": "grpc", "server.address": operation.service };
  return {
    service: from,
    name: operation.name,
    kind: Kind.CLIENT,
    milliseconds: 1.5,
    attributes: () => server,
    calls: [operation],
  };
}

function query(statement: string, milliseconds: number): Operation {
  return {
    service: "inventory",
    name: statement,
    kind: Kind.CLIENT,
    milliseconds,
    attributes: () => ({ "db.system.name": "postgresql", "db.namespace": "stock" }),
  };
}

function page(method: string, route: string, milliseconds: number, rest: Partial<Operation>): Operation {
  return {
    service: "frontend",
    name: `${method} ${route}`,
    kind: Kind.SERVER,
    milliseconds,
    attributes: (v) => ({
      "http.request.method": method,
      "http.route": route,
      "http.response.status_code": v.missing && route.startsWith("/products") ? 404 : 200,
      "enduser.id": v.user,
    }),
    ...rest,
  };
}

function serve(service: Service, name: string, milliseconds: number, rest: Partial<Operation>): Operation {
  return {
    service,
    name,
    kind: Kind.SERVER,
    milliseconds,
    attributes: () => ({ "rpc.system": "grpc" }),
    ...rest,
  };
}

function background(weight: number, service: Service, log: Template): Journey {
  const operation: Operation = {
    service,
    name: log.name,
    kind: Kind.INTERNAL,
    milliseconds: 5,
    logs: () => [log],
  };
  return { weight, operation, traced: false };
}

const t = templates;

export const charge = "shop.Payments/Charge";
export const reserve = "shop.Inventory/Reserve";

const placeOrder = page("POST", "/orders", 6, {
  calls: [
    rpc(
      "frontend",
      serve("checkout", "shop.Checkout/PlaceOrder", 5, {
        logs: (v) => [t.placing, v.declined ? t.refused : t.placed],
        calls: [
          rpc(
            "checkout",
            serve("inventory", reserve, 3, {
              logs: () => [t.reserved],
              calls: [query("UPDATE stock", 6)],
            }),
          ),
          rpc(
            "checkout",
            serve("payments", charge, 4, {
              logs: (v) => [t.charging, v.declined ? t.declined : t.charged],
              calls: [
                {
                  service: "payments",
                  name: "POST /v1/charges",
                  kind: Kind.CLIENT,
                  milliseconds: 80,
                  attributes: (v) => ({
                    "http.request.method": "POST",
                    "server.address": "cardgate.example",
                    "http.response.status_code": v.declined ? 402 : 201,
                  }),
                  failure: (v) =>
                    v.declined ? { type: "402", message: "card declined: insufficient_funds" } : undefined,
                },
              ],
            }),
          ),
          {
            service: "checkout",
            name: "orders publish",
            kind: Kind.PRODUCER,
            milliseconds: 2,
            attributes: () => ({ "messaging.system": "kafka", "messaging.destination.name": "orders" }),
            calls: [
              {
                service: "notifications",
                name: "orders process",
                kind: Kind.CONSUMER,
                milliseconds: 25,
                attributes: () => ({ "messaging.system": "kafka", "messaging.destination.name": "orders" }),
                logs: () => [t.received, t.rendered, t.mailed],
              },
            ],
          },
        ],
      }),
    ),
  ],
});

export const journeys: readonly Journey[] = [
  {
    weight: 4,
    traced: true,
    operation: page("GET", "/products/{sku}", 9, {
      logs: (v) => [v.missing ? t.notFound : t.served],
      calls: [
        rpc(
          "frontend",
          serve("inventory", "shop.Inventory/Get", 2, {
            logs: (v) => (v.slow ? [t.looked, t.slow] : [t.looked]),
            calls: [query("SELECT stock", 4)],
          }),
        ),
      ],
    }),
  },
  {
    weight: 2,
    traced: true,
    operation: page("GET", "/search", 12, {
      logs: () => [t.searched, t.session],
      calls: [
        rpc(
          "frontend",
          serve("inventory", "shop.Inventory/Search", 8, { calls: [query("SELECT stock", 9)] }),
        ),
      ],
    }),
  },
  {
    weight: 2,
    traced: true,
    operation: page("POST", "/cart", 5, {
      calls: [rpc("frontend", serve("checkout", "shop.Checkout/AddItem", 3, { logs: () => [t.added] }))],
    }),
  },
  { weight: 3, traced: true, operation: placeOrder },
  background(0.5, "frontend", t.health),
  background(0.5, "checkout", t.swept),
  background(0.3, "payments", t.settled),
  background(0.7, "payments", t.token),
  background(0.5, "inventory", t.synced),
  background(1, "notifications", t.polled),
];

const totalWeight = journeys.reduce((sum, { weight }) => sum + weight, 0);

export function pickJourney(random: Random): Journey {
  let left = random.uniform() * totalWeight;
  for (const journey of journeys) {
    left -= journey.weight;
    if (left < 0) return journey;
  }
  return journeys.at(-1)!;
}
