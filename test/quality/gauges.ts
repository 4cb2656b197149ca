import { create, toBinary } from "@bufbuild/protobuf";
import { ExportMetricsServiceRequestSchema } from "../../src/gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { keyValues } from "../../src/generate/records.ts";

/** The values of gauges at one time, in milliseconds since 1970. */
export interface Gauges {
  time: number;
  values: Readonly<Record<string, number>>;
}

/** A request with the gauges of one host. */
export function gauges(host: string, { time, values }: Gauges): Buffer {
  const metrics = Object.entries(values).map(([name, value]) => ({
    name,
    data: {
      case: "gauge" as const,
      value: {
        dataPoints: [
          { timeUnixNano: BigInt(time) * 1_000_000n, value: { case: "asDouble" as const, value } },
        ],
      },
    },
  }));
  const resource = { attributes: keyValues({ "service.name": host }) };
  const schema = ExportMetricsServiceRequestSchema;
  return Buffer.from(
    toBinary(schema, create(schema, { resourceMetrics: [{ resource, scopeMetrics: [{ metrics }] }] })),
  );
}
