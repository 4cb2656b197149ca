/**
 * Traces of small services: visits with a daily rhythm, a few of them altered. The bench uses these services instead of
 * the shop because each altered trace is known to the span and comes as rarely as an operator's budget allows.
 */
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  Span_SpanKind as Kind,
  type SpanSchema,
  Status_StatusCode,
} from "../../src/gen/opentelemetry/proto/trace/v1/trace_pb.js";
import { Random } from "../../src/generate/random.ts";
import { keyValues } from "../../src/generate/records.ts";

export const faults = ["latency", "status", "missing child", "wrong parent"] as const;
export type Fault = (typeof faults)[number];

interface Operation {
  name: string;
  kind: Kind;
  /** The median of the call's own time. */
  ms: number;
  attributes: (random: Random) => Record<string, string | number>;
  calls?: Operation[];
  /** The probability that the call is made. */
  chance?: number;
}

const database = (statement: string, table: string, ms: number): Operation => ({
  name: `${statement} ${table}`,
  kind: Kind.CLIENT,
  ms,
  attributes: () => ({
    "db.system.name": "postgresql",
    "db.operation.name": statement,
    "db.collection.name": table,
  }),
});

const http = (method: string, route: string, ms: number, calls: Operation[]): Operation => ({
  name: `${method} ${route}`,
  kind: Kind.SERVER,
  ms,
  attributes: (random) => ({
    "http.request.method": method,
    "http.route": route,
    "url.path": route.replace("{id}", String(random.int(1, 99_999))),
    "http.response.status_code": method === "POST" ? 201 : 200,
    "client.address": `10.0.${random.int(0, 255)}.${random.int(1, 254)}`,
  }),
  calls,
});

const publish: Operation = {
  name: "publish order.placed",
  kind: Kind.PRODUCER,
  ms: 3,
  attributes: (random) => ({
    "messaging.system": "kafka",
    "messaging.message.body.size": random.int(200, 900),
  }),
};

/** The operations with their shares of the visits. */
const operations: readonly [number, Operation][] = [
  [0.5, http("GET", "/orders/{id}", 4, [database("SELECT", "orders", 6), database("SELECT", "items", 9)])],
  [
    0.3,
    http("POST", "/orders", 9, [
      { name: "validate", kind: Kind.INTERNAL, ms: 2, attributes: (random) => ({ items: random.int(1, 9) }) },
      database("SELECT", "stock", 7),
      database("INSERT", "orders", 12),
      publish,
    ]),
  ],
  [
    0.2,
    http("GET", "/search", 15, [
      { name: "GET cache", kind: Kind.CLIENT, ms: 1, attributes: () => ({ "db.system.name": "redis" }) },
      { ...database("SELECT", "products", 40), chance: 0.5 },
    ]),
  ],
];

export interface Span {
  traceId: string;
  parent: boolean;
  name: string;
  kind: number;
  ms: number;
  error: boolean;
}

export interface Visit {
  traceId: string;
  time: number;
  spans: MessageInitShape<typeof SpanSchema>[];
}

const usualErrors = 0.005;

/** Errors that a service has never had: each altered trace shows the next one. */
const news: readonly (readonly [type: string, message: string])[] = [
  ["TooManyConnections", "remaining connection slots are reserved"],
  ["DeadlockDetected", "could not serialize access, deadlock on relation stock_level"],
  ["DiskFull", "could not extend file base/16384/2619: no space left on device"],
  ["CertificateExpired", "x509: certificate has expired or is not yet valid"],
  ["SchemaMismatch", "column total_gross does not exist"],
  ["OutOfMemory", "cannot allocate 1073741824 bytes"],
  ["ReadOnly", "cannot execute INSERT in a read-only transaction"],
  ["BrokerUnavailable", "leader of partition 7 not found"],
  ["InvalidCredentials", "password authentication failed for user shop"],
  ["ChecksumMismatch", "page verification failed at block 4711"],
  ["QuotaExceeded", "monthly quota of the tenant is used up"],
  ["ProtocolViolation", "unexpected message type 0x52 during startup"],
];

export class Orders {
  readonly #random: Random;
  #failures = 0;

  constructor(seed: string) {
    this.#random = new Random(seed);
  }

  /** Builds a trace that begins at `time`, in milliseconds since 1970. Children end first, as SDKs export them. */
  visit(time: number, fault?: Fault): Visit {
    const random = this.#random;
    let operation = this.#pick();
    while (
      (fault === "missing child" || fault === "wrong parent") &&
      operation.calls!.filter(({ chance = 1 }) => chance === 1).length < 2
    ) {
      operation = this.#pick();
    }
    const id = random.bytes(16);
    const spans: MessageInitShape<typeof SpanSchema>[] = [];
    const calls = operation.calls!.filter(({ chance = 1 }) => random.chance(chance));
    const victims = calls.filter(({ chance = 1 }) => chance === 1);
    const victim = random.pick(victims);
    const root = random.bytes(8);
    const own = random.logNormal(operation.ms, 0.35);
    const nano = (ms: number) => BigInt(Math.round(ms * 1_000)) * 1_000n;
    const failed = random.chance(usualErrors);
    let now = time + own / 2;
    for (const call of calls) {
      const ms = random.logNormal(call.ms, 0.35) * (fault === "latency" && call === victim ? 10 : 1);
      if (fault === "missing child" && call === victim) continue;
      const failure =
        fault === "status" && call === victim
          ? this.#news()
          : failed && call === calls.at(-1)
            ? { message: "deadline exceeded", type: "timeout" }
            : undefined;
      spans.push({
        traceId: id,
        spanId: random.bytes(8),
        // The parent is a sibling: names and order do not change.
        parentSpanId: fault === "wrong parent" && call === calls.at(-1) ? spans[0]!.spanId! : root,
        name: call.name,
        kind: call.kind,
        startTimeUnixNano: nano(now),
        endTimeUnixNano: nano(now + ms),
        attributes: keyValues({ ...call.attributes(random), ...(failure && { "error.type": failure.type }) }),
        ...(failure && { status: { code: Status_StatusCode.ERROR, message: failure.message } }),
      });
      now += ms;
    }
    spans.push({
      traceId: id,
      spanId: root,
      name: operation.name,
      kind: operation.kind,
      startTimeUnixNano: nano(time),
      endTimeUnixNano: nano(now + own / 2),
      attributes: keyValues(operation.attributes(random)),
    });
    return { traceId: Buffer.from(id).toString("hex"), time, spans };
  }

  #news(): { type: string; message: string } {
    const [type, message] = news[this.#failures++ % news.length]!;
    return { type, message };
  }

  #pick(): Operation {
    let at = this.#random.uniform();
    for (const [share, operation] of operations) {
      if (at < share) return operation;
      at -= share;
    }
    return operations[0]![1];
  }
}

/** A rate that is high in the afternoon and low at night: between .4 and 1.6 of the mean. */
export function rhythm(ms: number): number {
  return 1 - 0.6 * Math.cos((2 * Math.PI * (ms % 86_400_000)) / 86_400_000);
}
