/** Reports of anomalies as the engine makes them, in any number. */
import { randomBytes } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { configSchema } from "../src/config/schema.ts";
import { Engine } from "../src/engine/index.ts";
import { type Anomaly, AnomalySchema, State } from "../src/gen/driftlock/v1/anomaly_pb.js";
import { ExportLogsServiceRequestSchema } from "../src/gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";

const stringValue = (value: string) => ({ value: { case: "stringValue" as const, value } });

function request(service: string, lines: string[], first: number): Buffer {
  const resource = { attributes: [{ key: "service.name", value: stringValue(service) }] };
  // Records are so far apart that the previous anomaly has ended.
  const logRecords = lines.map((line, i) => ({
    timeUnixNano: 1_767_225_600_000_000_000n + BigInt(first + i) * 200_000_000_000n,
    body: stringValue(line),
  }));
  const message = create(ExportLogsServiceRequestSchema, {
    resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }],
  });
  return Buffer.from(toBinary(ExportLogsServiceRequestSchema, message));
}

const normal = (n: number) =>
  [
    `GET /cart/${n} 200 in ${n % 90} ms`,
    `payment ${n * 7919} accepted for order ${n}`,
    `session ${n * 31} of user ${n % 500} renewed`,
  ][n % 3]!;
const strange = () => Array.from({ length: 12 }, () => randomBytes(6).toString("hex")).join(" ");

/**
 * Returns the first reports of distinct anomalies, with their excerpts and window metrics, as the engine makes them.
 */
export async function firstReports(): Promise<Anomaly[]> {
  const detect = { baseline: { records: 200 }, budget: { per_stream_per_day: 1_000 } };
  const engine = new Engine(configSchema.parse({ detect }).detect, { mode: "all" });
  const found: Anomaly[] = [];
  for (let service = 0; service < 10; service++) {
    const name = `service-${service}`;
    const learned = Array.from({ length: 500 }, (_, i) => normal(i));
    const judged = Array.from({ length: 100 }, (_, i) => (i % 2 ? normal(i) : strange()));
    await engine.process("logs", "default", request(name, learned, 0));
    const { reports } = await engine.process("logs", "default", request(name, judged, 500));
    found.push(...reports.map(({ message }) => message));
  }
  await engine.close();
  return found.filter(({ state, occurrence }) => state === State.OPEN && occurrence === 1n);
}

/** Returns the report that an anomaly has ended. */
export function endOf(anomaly: Anomaly): Anomaly {
  const { id, tenant, stream, serviceName, signal, channel } = anomaly;
  const { startTimeUnixNano, startTimeUnixNano: endTimeUnixNano } = anomaly;
  const explanation = "over: nothing was flagged for 300 s";
  const named = { id, tenant, stream, serviceName, signal, channel, explanation, state: State.ENDED };
  return create(AnomalySchema, { ...named, occurrence: 1n, startTimeUnixNano, endTimeUnixNano });
}

/**
 * The number of random digits of an ID, which follow its milliseconds. They are drawn beforehand, since a draw per
 * anomaly would count as the sidecar's work.
 */
const randomDigits = 20;
const random = Buffer.from(randomBytes(2_500 * randomDigits).toString("hex"), "latin1");

/** A report's bytes, and the places in them that distinguish one anomaly from the next. */
export class Template {
  readonly #bytes: Buffer;
  readonly #idAt: number;
  readonly #timesAt: number[] = [];

  constructor(anomaly: Anomaly) {
    this.#bytes = Buffer.from(toBinary(AnomalySchema, anomaly));
    this.#idAt = this.#bytes.indexOf(anomaly.id);
    const time = Buffer.alloc(8);
    time.writeBigUInt64LE(anomaly.startTimeUnixNano);
    for (let at = this.#bytes.indexOf(time); at >= 0; at = this.#bytes.indexOf(time, at + 8)) {
      this.#timesAt.push(at);
    }
  }

  get length(): number {
    return this.#bytes.length;
  }

  /** Returns the report of the nth anomaly, which began at `time`, milliseconds since 1970. */
  of(n: number, time: number): Buffer {
    const bytes = Buffer.from(this.#bytes);
    const idAt = bytes.write(time.toString(16).padStart(12, "0"), this.#idAt, "latin1") + this.#idAt;
    const drawn = (n * randomDigits) % random.length;
    random.copy(bytes, idAt, drawn, drawn + randomDigits);
    for (const at of this.#timesAt) bytes.writeBigUInt64LE(BigInt(time) * 1_000_000n, at);
    return bytes;
  }
}
