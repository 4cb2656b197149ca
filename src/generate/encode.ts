/** Encodes items as one Export*ServiceRequest, grouped by service. */
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ExportLogsServiceRequestSchema } from "../gen/opentelemetry/proto/collector/logs/v1/logs_service_pb.js";
import { ExportMetricsServiceRequestSchema } from "../gen/opentelemetry/proto/collector/metrics/v1/metrics_service_pb.js";
import { ExportTraceServiceRequestSchema } from "../gen/opentelemetry/proto/collector/trace/v1/trace_service_pb.js";
import type { ResourceSchema } from "../gen/opentelemetry/proto/resource/v1/resource_pb.js";
import type { Signal } from "../otlp/protocol.ts";
import type { AnomalyName } from "./anomalies.ts";
import { Random } from "./random.ts";
import { type Item, keyValues } from "./records.ts";
import type { Service } from "./shop.ts";

export interface Encoded {
  body: Buffer;
  /** The anomaly that each record belongs to, in wire order. */
  truths: (AnomalyName | undefined)[];
}

export class Encoder {
  readonly #seed: string;
  readonly #resources = new Map<Service, MessageInitShape<typeof ResourceSchema>>();

  constructor(seed: string) {
    this.#seed = seed;
  }

  /** Encodes items, which must all be of `signal`. The items of a service keep their order. */
  encode(signal: Signal, items: readonly Item[]): Encoded {
    const groups = [...Map.groupBy(items, ({ service }) => service)];
    const truths = groups.flatMap(([, group]) => group.map(({ truth }) => truth));
    return { body: Buffer.from(this.#bytes(signal, groups)), truths };
  }

  #bytes(signal: Signal, groups: [Service, Item[]][]): Uint8Array {
    const parts = groups.map(([service, group]) => ({
      resource: this.#resource(service),
      scope: { name: `shop.${service}`, version: "1.4.0" },
      group,
    }));
    switch (signal) {
      case "logs": {
        const resourceLogs = parts.map(({ resource, scope, group }) => ({
          resource,
          scopeLogs: [{ scope, logRecords: group.flatMap((i) => (i.signal === "logs" ? i.record : [])) }],
        }));
        const schema = ExportLogsServiceRequestSchema;
        return toBinary(schema, create(schema, { resourceLogs }));
      }
      case "traces": {
        const resourceSpans = parts.map(({ resource, scope, group }) => ({
          resource,
          scopeSpans: [{ scope, spans: group.flatMap((i) => (i.signal === "traces" ? i.record : [])) }],
        }));
        const schema = ExportTraceServiceRequestSchema;
        return toBinary(schema, create(schema, { resourceSpans }));
      }
      case "metrics": {
        const resourceMetrics = parts.map(({ resource, scope, group }) => ({
          resource,
          scopeMetrics: [{ scope, metrics: group.flatMap((i) => (i.signal === "metrics" ? i.record : [])) }],
        }));
        const schema = ExportMetricsServiceRequestSchema;
        return toBinary(schema, create(schema, { resourceMetrics }));
      }
    }
  }

  #resource(service: Service): MessageInitShape<typeof ResourceSchema> {
    let resource = this.#resources.get(service);
    if (resource === undefined) {
      const random = new Random(`${this.#seed}/resource/${service}`);
      resource = {
        attributes: keyValues({
          "service.name": service,
          "service.namespace": "shop",
          "service.version": "1.4.0",
          "service.instance.id": random.uuid(),
          "host.name": `shop-${random.int(1, 9)}`,
          "deployment.environment.name": "demo",
        }),
      };
      this.#resources.set(service, resource);
    }
    return resource;
  }
}
