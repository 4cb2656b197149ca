/**
 * `make bench-sdk`: what the SDK costs a Node.js service. Importing it, and exporting spans through Driftlock beside exporting them
 * through the exporter alone. Medians of fresh processes, which import the built package. Prints Markdown.
 */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { median } from "./measure.ts";
import { round, table } from "./table.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const rounds = 11;

/** A process that imports a subpath of the package, and prints what that took. */
const probe = (name: string) => `
  const before = process.memoryUsage().rss;
  const start = performance.now();
  await import(${JSON.stringify(name)});
  const ms = performance.now() - start;
  console.log(JSON.stringify({ ms, bytes: process.memoryUsage().rss - before }));`;

function importing(name: string): { ms: number; bytes: number } {
  const args = ["--input-type=module", "--eval", probe(name)];
  return JSON.parse(execFileSync(process.execPath, args, { cwd: root, encoding: "utf8" }));
}

const { exports } = (await import("../package.json", { with: { type: "json" } })).default;
const names = Object.keys(exports)
  .filter((path) => !path.endsWith(".json"))
  .map((path) => path.replace(/^\./, "driftlock"));
const rows = names.map((name) => {
  const runs = Array.from({ length: rounds }, () => importing(name));
  return {
    import: name,
    ms: round(median(runs.map(({ ms }) => ms)), 1),
    MiB: round(median(runs.map(({ bytes }) => bytes)) / 2 ** 20, 1),
  };
});
console.log(table(rows));

/**
 * A process that exports so many spans, as an instrumented HTTP server makes them, through an exporter that does nothing. Like one that
 * awaits a network, it answers in a later turn of the event loop: the garbage collector keeps spans longer then, with Driftlock or
 * without. Prints the CPU time of all threads, with that of the engine, in microseconds per span.
 */
const exporting = (wrapped: boolean, spans: number) => `
  import { SpanKind } from "@opentelemetry/api";
  import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
  import { Driftlock, withDriftlock } from "driftlock/otel";
  const plain = { export: (spans, done) => setImmediate(done, { code: 0 }), shutdown: async () => {} };
  const driftlock = new Driftlock({ service: "shop" });
  await driftlock.ready();
  const processor = new BatchSpanProcessor(${wrapped ? "withDriftlock(plain, driftlock)" : "plain"});
  const tracer = new NodeTracerProvider({ spanProcessors: [processor] }).getTracer("shop");
  const start = Date.parse("2026-01-31T12:00:00Z");
  const make = async (from, count) => {
    for (let i = from; i < from + count; i++) {
      const attributes = {
        "http.request.method": "GET",
        "http.route": "/cart/:id",
        "url.path": "/cart/" + (i * 7919) % 10007,
        "http.response.status_code": 200,
        "server.address": "shop.example.com",
        "network.protocol.version": "1.1",
        "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        "client.address": "10.0.0." + (i % 200),
      };
      const span = tracer.startSpan("GET /cart/:id", { kind: SpanKind.SERVER, attributes, startTime: new Date(start + i * 10) });
      span.end(new Date(start + i * 10 + 5 + (i % 7)));
      if (i % 512 === 511) await processor.forceFlush();
    }
    await processor.forceFlush();
    await driftlock.flush();
  };
  await make(0, 20_480);
  const before = process.cpuUsage();
  await make(20_480, ${spans});
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ micros: (user + system) / ${spans}, flagged: driftlock.stats().flagged }));
  await driftlock.close();`;

function perSpan(wrapped: boolean): number {
  const args = ["--input-type=module", "--eval", exporting(wrapped, 102_400)];
  const out = execFileSync(process.execPath, args, { cwd: root, encoding: "utf8" });
  return (JSON.parse(out) as { micros: number }).micros;
}

const turns = Array.from({ length: 5 }, () => ({ alone: perSpan(false), wrapped: perSpan(true) }));
const alone = median(turns.map((turn) => turn.alone));
const wrapped = median(turns.map((turn) => turn.wrapped));
const micros = [
  { exporter: "alone", "CPU us per span": round(alone) },
  { exporter: "withDriftlock, the engine included", "CPU us per span": round(wrapped) },
  {
    exporter: "difference",
    "CPU us per span": round(median(turns.map((turn) => turn.wrapped - turn.alone))),
  },
];
console.log(`\n${table(micros)}`);
