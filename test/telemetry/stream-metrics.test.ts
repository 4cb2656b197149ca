import { afterAll, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { Engine } from "../../src/engine/index.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { StreamMetrics } from "../../src/telemetry/stream-metrics.ts";
import { logs, normalLines, strangeLine } from "../cli/sender.ts";

const versions = {
  version: "1.2.3",
  node: "24.0.0",
  codecs: { openzl: "0.3.0", zstd: "1.5.7", lz4: "1.10.0" },
};
const { detect } = configSchema.parse({ detect: { baseline: { records: 200 } } });
const engine = new Engine(detect, { mode: "all", key: new Uint8Array(32) });
afterAll(() => engine.close());

it("shows streams up to a number, those with an open anomaly first", async () => {
  const streams = new StreamMetrics(2);
  const metrics = createMetrics(versions);
  metrics.watchStreams(streams);
  const read = async (name: string): Promise<string[]> =>
    (await metrics.registry.metrics())
      .split("\n")
      .filter((line) => line.startsWith(`driftlock_stream_${name}`));
  const process = async (lines: string[], from: number, service: string) => {
    const { reports } = await engine.process("logs", "acme", logs(lines, from, service));
    for (const report of reports) streams.offer(report);
    streams.update((await engine.statistics(64)).streams);
    return reports;
  };

  for (const service of ["cart", "search", "till"]) await process(normalLines(600), 0, service);
  const labels = (service: string) =>
    `tenant="acme",signal="logs",service="${service}",stream="logs service.name=${service}"`;
  const open = (service: string, count: number) =>
    `driftlock_stream_open_anomalies{${labels(service)}} ${count}`;
  expect(await read("open_anomalies")).toEqual([open("cart", 0), open("search", 0)]);
  expect(await read("metrics_omitted")).toEqual(["driftlock_stream_metrics_omitted 1"]);

  const [report] = await process([strangeLine], 600, "till");
  expect(await read("open_anomalies")).toEqual([open("search", 0), open("till", 1)]);
  const of = `{${labels("till")},channel="content"}`;
  const { score, limit } = report!.message;
  expect(await read("score")).toContain(`driftlock_stream_score${of} ${score}`);
  const [shown] = (await read("limit")).filter((line) => line.includes(of));
  expect(Number(shown!.slice(shown!.lastIndexOf(" ")))).toBeCloseTo(limit, 0);

  // Five quiet minutes end the anomaly.
  await process(normalLines(400), 601, "till");
  expect(await read("open_anomalies")).toContain(open("till", 0));
});
