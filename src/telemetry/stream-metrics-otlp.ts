/** The metrics of streams as OTLP gauges. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ExportMetricsServiceRequestSchema } from "../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import type { MetricSchema } from "../gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import { definitions } from "./definitions.ts";
import type { StreamSeries } from "./stream-metrics.ts";

/** Who sends the metrics. */
export interface MetricsSource {
  service: string;
  environment: string;
  version: string;
}

const attribute = (key: string, text: string) => ({
  key,
  value: { value: { case: "stringValue" as const, value: text } },
});

const attributesOf = (labels: Readonly<Record<string, string>>) =>
  Object.entries(labels).map(([key, text]) => attribute(key, text));

const { stream } = definitions;
type Value = (series: StreamSeries) => number | undefined;

/** The engine does not judge metrics whose names begin with `driftlock.stream.`, nor their names in Prometheus. */
const metrics = [
  ["driftlock.stream.score", stream.score, (series) => series.score],
  ["driftlock.stream.limit", stream.limit, (series) => series.limit || undefined],
  ["driftlock.stream.open_anomalies", stream.openAnomalies, ({ open }) => open.size],
  ["driftlock.stream.expected_low", stream.expectedLow, ({ expected }) => expected?.low],
  ["driftlock.stream.expected_high", stream.expectedHigh, ({ expected }) => expected?.high],
] as const satisfies [name: string, definition: { help: string; labels: object }, value: Value][];

/** Encodes an ExportMetricsServiceRequest. Figures that are not known are absent. */
export function encodeStreamMetrics(
  series: readonly StreamSeries[],
  { service, environment, version }: MetricsSource,
  timeUnixNano: bigint,
): Buffer {
  const gauges = metrics.flatMap(
    ([name, { help, labels }, read]: (typeof metrics)[number]): MessageInitShape<typeof MetricSchema>[] => {
      const dataPoints = series.flatMap((each) => {
        const value = read(each);
        if (value === undefined) return [];
        const named = "channel" in labels ? { ...each.labels, channel: each.channel } : each.labels;
        const attributes = attributesOf(named);
        return [{ timeUnixNano, attributes, value: { case: "asDouble" as const, value } }];
      });
      if (dataPoints.length === 0) return [];
      return [{ name, description: help, data: { case: "gauge", value: { dataPoints } } }];
    },
  );
  const resource = {
    attributes: attributesOf({
      "service.name": service,
      "service.version": version,
      "deployment.environment.name": environment,
    }),
  };
  const scopeMetrics = [{ scope: { name: "driftlock", version }, metrics: gauges }];
  const request = create(ExportMetricsServiceRequestSchema, {
    resourceMetrics: [{ resource, scopeMetrics }],
  });
  return Buffer.from(toBinary(ExportMetricsServiceRequestSchema, request));
}
