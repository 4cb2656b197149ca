import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BatchSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Driftlock, DriftlockSpanProcessor, withDriftlock } from "../../src/sdk/otel/index.ts";
import { overlay } from "../../src/sdk/otel/overlay.ts";
import { encode, type Telemetry } from "../../src/sdk/otel/telemetry.ts";
import { toMetric, toSpan } from "../../src/sdk/records.ts";

const here = fileURLToPath(new URL("otel", import.meta.url));
const run = promisify(execFile);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "driftlock-otel-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const nothing = { full: 0, invalid: 0, closed: 0, failed: 0 };

test.each(["sdk-2", "sdk-3"])(
  "with %s, what is flagged is annotated, and the encoder writes what OpenTelemetry's own writes",
  async (name) => {
    cpSync(join(here, name), folder, { recursive: true });
    cpSync(join(here, "program.js"), join(folder, "program.js"));
    await run("npm", ["ci", "--prefer-offline", "--no-audit", "--no-fund"], { cwd: folder });
    const { stdout } = await run(process.execPath, ["--disable-warning=ExperimentalWarning", "program.js"], {
      cwd: folder,
      env: { ...process.env, DRIFTLOCK_SOURCES: fileURLToPath(new URL("../../src", import.meta.url)) },
    });
    expect(JSON.parse(stdout)).toMatchObject({
      same: { traces: [true], logs: [true], metrics: [true, true, true] },
      spans: { count: 601, annotated: [[600, "content"]] },
      logs: { count: 603, annotated: [[600, "content"]] },
      methods: [0, [0, 20_000_000]],
      wrapping: { accepted: 1_219, judged: 1_219, flagged: 2, errors: 0, dropped: nothing },
      observing: { accepted: 1_204, judged: 1_204, errors: 0, dropped: nothing },
    });
  },
  120_000,
);

const resource = { attributes: { "service.name": "shop" } };
const spans = [toSpan({ name: "GET /cart" }, resource), toSpan({ name: "POST /pay" }, resource)];

/** An exporter that keeps what it exports. */
class Keeping {
  readonly #exported: unknown[] = [];
  export(telemetry: unknown, done: (result: { code: number; error?: Error }) => void): void {
    this.#exported.push(telemetry);
    done({ code: 0 });
  }
  get exported(): unknown[] {
    return this.#exported;
  }
  async shutdown(): Promise<void> {}
}

describe("an exporter with Driftlock", () => {
  const exported = (exporter: Keeping, telemetry: unknown) =>
    new Promise<{ code: number; error?: Error }>((resolve) => exporter.export(telemetry, resolve));

  test("passes on what nothing is strange about as it is, and what it does not know", async () => {
    const driftlock = new Driftlock();
    const exporter = withDriftlock(new Keeping(), driftlock);
    const unknown = [{ some: "thing" }];
    for (const each of [spans, [], unknown]) expect(await exported(exporter, each)).toEqual({ code: 0 });
    await exporter.shutdown();
    expect(exporter.exported[0]).toBe(spans);
    expect(exporter.exported[2]).toBe(unknown);
    expect(driftlock.stats()).toMatchObject({ judged: 2, errors: 0 });
    await driftlock.close();
    // Afterwards the exporter goes on alone.
    expect(await exported(exporter, spans)).toEqual({ code: 0 });
    expect(driftlock.stats().dropped.closed).toBe(2);
  });

  test("passes on what cannot be encoded", async () => {
    const driftlock = new Driftlock({ onError: () => {} });
    const exporter = withDriftlock(new Keeping(), driftlock);
    const broken = [{ ...spans[0], startTime: undefined }];
    expect(await exported(exporter, broken)).toEqual({ code: 0 });
    expect(exporter.exported).toEqual([broken]);
    expect(driftlock.stats().errors).toBe(1);
    await driftlock.close();
  });

  test("reports the failure of an exporter that throws", async () => {
    const driftlock = new Driftlock();
    const failing = new Keeping();
    failing.export = () => {
      throw new Error("no route");
    };
    const result = await exported(withDriftlock(failing, driftlock), spans);
    expect(result).toEqual({ code: 1, error: new Error("no route") });
    await driftlock.close();
  });

  test("has a type that the SDK takes", async () => {
    const driftlock = new Driftlock();
    const exporter = { export: () => {}, shutdown: async () => {} };
    expect(new BatchSpanProcessor(withDriftlock(exporter, driftlock))).toBeDefined();
    expect(new DriftlockSpanProcessor(driftlock).onStart()).toBeUndefined();
    await driftlock.close();
  });
});

test("annotations go to the records at their positions in the request", () => {
  const scopes = ["a", "b", "a"].map((name) => ({ name }));
  scopes[2] = scopes[0]!;
  const items = scopes.map((instrumentationScope, i) => ({
    ...toSpan({ name: `span ${i}`, attributes: { i } }, resource),
    instrumentationScope,
  }));
  const note = { "cbad.anomaly": true } as const;
  // The request has the spans of the first scope before that of the second: 0, 2, 1.
  const annotated = encode(items)!.annotated(new Map([[1, note]])) as typeof items;
  expect(annotated.map(({ attributes }) => attributes)).toEqual([{ i: 0 }, { i: 1 }, { i: 2, ...note }]);
  expect(annotated[0]).toBe(items[0]);

  const unknown = { ...toMetric("odd", 1, {}), dataPointType: 9 };
  const [one, two] = [toMetric("one", 1, { a: 1 }), toMetric("two", 2, { a: 2 })];
  const metrics: Telemetry = {
    resource,
    scopeMetrics: [{ scope: { name: "a" }, metrics: [one, unknown, two] }],
  };
  const points = encode(metrics)!.annotated(new Map([[1, note]])) as typeof metrics;
  expect(points.scopeMetrics[0]!.metrics.map(({ dataPoints }) => dataPoints[0]!.attributes)).toEqual([
    { a: 1 },
    {},
    { a: 2, ...note },
  ]);
});

test("methods of an overlaid object keep their private members", () => {
  const exporter = overlay(new Keeping(), { name: "other" });
  exporter.export(spans, () => {});
  expect(exporter.exported).toEqual([spans]);
  expect((exporter as unknown as { name: string }).name).toBe("other");
});
