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
 * How spans are exported: by an exporter that does nothing and answers at once, by one that answers in a later turn of the event loop
 * like one that awaits a network, or by the latter with Driftlock. An answer in a later turn lets the garbage collector keep spans for
 * longer. How many it keeps depends on the heap, and the processes of all three have loaded the engine.
 */
type Exporter = "at once" | "later" | "wrapped";

/**
 * A process that exports so many spans, as an instrumented HTTP server makes them. Prints the CPU time of all threads, with that of
 * the engine, in microseconds per span.
 */
const exporting = (exporter: Exporter, spans: number) => `
  import { SpanKind } from "@opentelemetry/api";
  import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
  import { Driftlock, withDriftlock } from "driftlock/otel";
  const answer = ${exporter === "at once" ? "(done, result) => done(result)" : "setImmediate"};
  const plain = { export: (spans, done) => void answer(done, { code: 0 }), shutdown: async () => {} };
  const driftlock = new Driftlock({ service: "shop" });
  await driftlock.ready();
  const processor = new BatchSpanProcessor(${exporter === "wrapped" ? "withDriftlock(plain, driftlock)" : "plain"});
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

function perSpan(exporter: Exporter): number {
  const args = ["--input-type=module", "--eval", exporting(exporter, 102_400)];
  const out = execFileSync(process.execPath, args, { cwd: root, encoding: "utf8" });
  return (JSON.parse(out) as { micros: number }).micros;
}

const turns = Array.from({ length: 5 }, () => ({
  atOnce: perSpan("at once"),
  later: perSpan("later"),
  wrapped: perSpan("wrapped"),
}));
const micros = (of: (turn: (typeof turns)[number]) => number) => round(median(turns.map(of)));
const figures = [
  { exporter: "alone, answers at once", "CPU us per span": micros(({ atOnce }) => atOnce) },
  { exporter: "alone, answers later", "CPU us per span": micros(({ later }) => later) },
  { exporter: "withDriftlock, the engine included", "CPU us per span": micros(({ wrapped }) => wrapped) },
  {
    exporter: "more than alone, at once",
    "CPU us per span": micros(({ wrapped, atOnce }) => wrapped - atOnce),
  },
  {
    exporter: "more than alone, later",
    "CPU us per span": micros(({ wrapped, later }) => wrapped - later),
  },
];
console.log(`\n${table(figures)}`);
