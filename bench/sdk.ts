/**
 * `make bench-sdk`: what the SDK costs a Node.js service. Importing it, encoding spans, and exporting spans through Driftlock beside
 * exporting them through the exporter alone. Medians of fresh processes in turns, which import the built package. Prints Markdown.
 */
import { execFileSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { median } from "./measure.ts";
import { round, table } from "./table.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const rounds = 11;

/** Runs a program in a process of its own, with flags of Node.js. Returns what it prints as JSON. */
function run<T>(program: string, ...flags: string[]): T {
  const args = [...flags, "--input-type=module", "--eval", program];
  return JSON.parse(execFileSync(process.execPath, args, { cwd: root, encoding: "utf8" })) as T;
}

/** A process that imports a subpath of the package, and prints what that took. */
const probe = (name: string) => `
  const before = process.memoryUsage().rss;
  const start = performance.now();
  await import(${JSON.stringify(name)});
  const ms = performance.now() - start;
  console.log(JSON.stringify({ ms, bytes: process.memoryUsage().rss - before }));`;

const { exports } = (await import("../package.json", { with: { type: "json" } })).default;
const names = Object.keys(exports)
  .filter((path) => !path.endsWith(".json"))
  .map((path) => path.replace(/^\./, "driftlock"));
const rows = names.map((name) => {
  const runs = Array.from({ length: rounds }, () => run<{ ms: number; bytes: number }>(probe(name)));
  return {
    import: name,
    ms: round(median(runs.map(({ ms }) => ms)), 1),
    MiB: round(median(runs.map(({ bytes }) => bytes)) / 2 ** 20, 1),
  };
});
console.log(table(rows));

/** Makes spans as an instrumented HTTP server does. Those with other numbers have other attributes: two of eight, or all of them. */
const spans = `
  import { SpanKind } from "@opentelemetry/api";
  import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
  const start = Date.parse("2026-01-31T12:00:00Z");
  const tracerOf = (processor) => new NodeTracerProvider({ spanProcessors: [processor] }).getTracer("shop");
  const makeSpan = (tracer, i, own = "") => {
    const attributes = {
      "http.request.method": "GET" + own,
      "http.route": "/cart/:id" + own,
      "url.path": "/cart/" + (i * 7919) % 10007,
      "http.response.status_code": 200 + Number(own),
      "server.address": "shop.example.com" + own,
      "network.protocol.version": "1.1" + own,
      "user_agent.original": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36" + own,
      "client.address": "10.0.0." + (i % 200) + own,
    };
    const span = tracer.startSpan("GET /cart/:id", { kind: SpanKind.SERVER, attributes, startTime: new Date(start + i * 10) });
    span.end(new Date(start + i * 10 + 5 + (i % 7)));
  };`;

/** A process that encodes batches of 512 spans. Prints the CPU time in microseconds per span. */
const encoding = (attributes: "repeat" | "differ") => `${spans}
  const { encode } = await import("./dist/sdk/otel/telemetry.js");
  const { recycle } = await import("./dist/sdk/encoder/writer.js");
  const batches = Array.from({ length: 8 }, (_, batch) => {
    const ended = [];
    const tracer = tracerOf({ onStart() {}, onEnd: (span) => ended.push(span) });
    for (let i = 512 * batch; i < 512 * (batch + 1); i++) makeSpan(tracer, i, ${attributes === "differ" ? "String(i)" : '""'});
    return ended;
  });
  const encodeAll = (times) => {
    for (let i = 0; i < times; i++) for (const batch of batches) recycle(encode(batch).request);
  };
  encodeAll(50);
  const before = process.threadCpuUsage();
  encodeAll(100);
  const { user, system } = process.threadCpuUsage(before);
  console.log((user + system) / (100 * 8 * 512));`;

/** An exporter that does nothing and answers at once, or in a later turn of the event loop; or the latter with Driftlock. */
type Exporter = "at once" | "later" | "wrapped";

/** CPU time in microseconds per span. */
interface Cost {
  all: number;
  /** Of the event loop's thread. */
  main: number;
}

/** A process that exports spans in batches of 512. Prints what they cost. All of them load the engine, which enlarges the heap. */
const exporting = (exporter: Exporter, count: number) => `${spans}
  import { Driftlock, withDriftlock } from "driftlock/otel";
  const answer = ${exporter === "later" || exporter === "wrapped" ? "setImmediate" : "(done, result) => done(result)"};
  const plain = { export: (spans, done) => void answer(done, { code: 0 }), shutdown: async () => {} };
  const driftlock = new Driftlock({ service: "shop" });
  await driftlock.ready();
  const processor = new BatchSpanProcessor(${exporter === "wrapped" ? "withDriftlock(plain, driftlock)" : "plain"});
  const tracer = tracerOf(processor);
  const make = async (from, count) => {
    for (let i = from; i < from + count; i++) {
      makeSpan(tracer, i);
      if (i % 512 === 511) await processor.forceFlush();
    }
    await processor.forceFlush();
    await driftlock.flush();
  };
  await make(0, 20_480);
  const [all, main] = [process.cpuUsage(), process.threadCpuUsage()];
  await make(20_480, ${count});
  const micros = ({ user, system }) => (user + system) / ${count};
  console.log(JSON.stringify({ all: micros(process.cpuUsage(all)), main: micros(process.threadCpuUsage(main)) }));
  await driftlock.close();`;

/**
 * From the first large collections on, V8 creates objects of a kind among old ones if nearly all of the kind were alive. There they
 * stay until a full collection, with all that they refer to. If the first spans are made just before such a collection, as happens by
 * luck, that befalls their parts, and each span costs 1.2 us more whichever exporter there is. Without it, all processes are alike.
 */
const alike = "--no-allocation-site-pretenuring";

const turns = Array.from({ length: 7 }, () => ({
  atOnce: run<Cost>(exporting("at once", 102_400), alike),
  later: run<Cost>(exporting("later", 102_400), alike),
  wrapped: run<Cost>(exporting("wrapped", 102_400), alike),
  repeating: run<number>(encoding("repeat")),
  differing: run<number>(encoding("differ")),
}));
type Turn = (typeof turns)[number];
const micros = (of: (turn: Turn) => number) => round(median(turns.map(of)));
const costs = (exporter: string, of: (turn: Turn) => Cost) => ({
  exporter,
  "CPU us per span": micros((turn) => of(turn).all),
  "of the event loop": micros((turn) => of(turn).main),
  "of other threads": micros((turn) => of(turn).all - of(turn).main),
});
const more = (than: (turn: Turn) => Cost) => (turn: Turn) => ({
  all: turn.wrapped.all - than(turn).all,
  main: turn.wrapped.main - than(turn).main,
});
const figures = [
  costs("alone, answers at once", ({ atOnce }) => atOnce),
  costs("alone, answers later", ({ later }) => later),
  costs("withDriftlock, answers later", ({ wrapped }) => wrapped),
  costs(
    "more than alone, at once",
    more(({ atOnce }) => atOnce),
  ),
  costs(
    "more than alone, later",
    more(({ later }) => later),
  ),
];
console.log(`\n${table(figures)}`);
console.log(
  `\n${table([
    { "encoding alone": "most attributes repeat", "CPU us per span": micros(({ repeating }) => repeating) },
    { "encoding alone": "no attribute repeats", "CPU us per span": micros(({ differing }) => differing) },
  ])}`,
);
