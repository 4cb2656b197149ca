/** The requests of support.ts, written by hand as OTLP/JSON. */
import type { Signal } from "../../src/otlp/protocol.ts";

const resource = { attributes: [{ key: "service.name", value: { stringValue: "shop" } }] };
export const traceId = "5b8efff798038103d269b633813fc60c";
const spanId = "EEE19B7EC3C1B174";
const time = "1767225600000000000";

export const texts: Readonly<Record<Signal, object>> = {
  logs: {
    resourceLogs: [
      {
        resource,
        scopeLogs: [
          {
            scope: { name: "orders", version: "1.2" },
            logRecords: [
              {
                timeUnixNano: time,
                severityNumber: 9,
                severityText: "INFO",
                body: { stringValue: "order 17 taken — é" },
                attributes: [
                  { key: "n", value: { intValue: "-4611686018427387904" } },
                  { key: "raw", value: { bytesValue: "AP8H" } },
                  { key: "list", value: { arrayValue: { values: [{ boolValue: true }] } } },
                ],
                traceId,
                spanId,
              },
            ],
          },
        ],
      },
    ],
  },
  traces: {
    resourceSpans: [
      {
        resource,
        scopeSpans: [
          {
            spans: [
              {
                traceId,
                spanId,
                parentSpanId: "0102030405060708",
                name: "GET /",
                kind: 2,
                startTimeUnixNano: time,
                endTimeUnixNano: "1767225600000012345",
                links: [{ traceId, spanId }],
                events: [{ timeUnixNano: "1767225600000000001", name: "retry" }],
                status: { code: 2, message: "no" },
              },
            ],
          },
        ],
      },
    ],
  },
  metrics: {
    resourceMetrics: [
      {
        resource,
        scopeMetrics: [
          {
            metrics: [
              {
                name: "latency",
                histogram: {
                  aggregationTemporality: 1,
                  dataPoints: [
                    {
                      timeUnixNano: time,
                      count: 3,
                      sum: 1.5,
                      bucketCounts: ["1", 2],
                      explicitBounds: [0.5],
                      exemplars: [{ timeUnixNano: time, traceId, spanId, asDouble: 0.25 }],
                    },
                  ],
                },
              },
              { name: "level", gauge: { dataPoints: [{ timeUnixNano: time, asDouble: "NaN" }] } },
            ],
          },
        ],
      },
    ],
  },
};
