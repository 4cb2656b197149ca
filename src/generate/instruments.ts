/** Defines the metrics of the shop. An instrument yields one point per scrape. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  AggregationTemporality,
  type MetricSchema,
} from "../gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import type { AnomalyName } from "./anomalies.ts";
import type { Random } from "./random.ts";
import { keyValues } from "./records.ts";
import { type Attributes, type Service, services } from "./shop.ts";

type Metric = MessageInitShape<typeof MetricSchema>;

/** The state of the shop when its metrics are read. */
export interface Scrape {
  random: Random;
  startUnixNano: bigint;
  unixNano: bigint;
  /** Seconds since the last scrape. */
  seconds: number;
  /** Time of the day, from 0 at midnight UTC to 1. */
  day: number;
  /** Calls that the shop serves per second. */
  load: number;
}

export interface Instrument {
  service: Service;
  /** The anomaly in which this instrument can take part. */
  shows?: AnomalyName;
  read(scrape: Scrape, anomalous: boolean): Metric;
}

interface Header {
  service: Service;
  name: string;
  unit: string;
  description: string;
  attributes?: Attributes;
}

/** Maximum number of samples of a distribution per scrape. If there are more calls, a sample stands for several. */
const maxSamples = 64;
const bounds = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** The scale of the exponential histogram, whose buckets grow by 2^(1/8). */
const scale = 3;

/** Returns the load at this time of the day, from 0 at two in the night to 1 at two in the afternoon. */
function season(day: number): number {
  return 0.5 - 0.5 * Math.cos(2 * Math.PI * (day - 1 / 12));
}

function head({ name, unit, description }: Header) {
  return { name, unit, description };
}

/** Returns the times of a cumulative point. A gauge has no start. */
function times({ startUnixNano, unixNano }: Scrape): { startTimeUnixNano: bigint; timeUnixNano: bigint } {
  return { startTimeUnixNano: startUnixNano, timeUnixNano: unixNano };
}

function gauge(
  header: Header,
  value: (scrape: Scrape, anomalous: boolean) => number,
  shows?: AnomalyName,
): Instrument {
  const attributes = () => keyValues(header.attributes ?? {});
  return {
    service: header.service,
    ...(shows && { shows }),
    read: (scrape, anomalous) => ({
      ...head(header),
      data: {
        case: "gauge",
        value: {
          dataPoints: [
            {
              attributes: attributes(),
              timeUnixNano: scrape.unixNano,
              value: { case: "asDouble", value: value(scrape, anomalous) },
            },
          ],
        },
      },
    }),
  };
}

/** Creates a sum of whole numbers. `next` returns the new total, given the last one. */
function sum(
  header: Header,
  isMonotonic: boolean,
  next: (total: number, scrape: Scrape, anomalous: boolean) => number,
  shows?: AnomalyName,
): Instrument {
  let total = 0;
  return {
    service: header.service,
    ...(shows && { shows }),
    read(scrape, anomalous) {
      total = next(total, scrape, anomalous);
      return {
        ...head(header),
        data: {
          case: "sum",
          value: {
            isMonotonic,
            aggregationTemporality: AggregationTemporality.CUMULATIVE,
            dataPoints: [
              {
                attributes: keyValues(header.attributes ?? {}),
                ...times(scrape),
                value: { case: "asInt", value: BigInt(total) },
              },
            ],
          },
        },
      };
    },
  };
}

/** Draws durations of calls since the last scrape, each with the number of calls that it stands for. */
function calls(scrape: Scrape, share: number, median: number): [seconds: number, count: number][] {
  const { random } = scrape;
  const expected = scrape.load * share * scrape.seconds * (0.4 + season(scrape.day));
  const count = Math.max(0, Math.round(expected + Math.sqrt(expected) * random.normal()));
  const samples = Math.min(count, maxSamples);
  return Array.from({ length: samples }, (_, i) => [
    random.logNormal(median, 0.5),
    Math.floor(count / samples) + (i < count % samples ? 1 : 0),
  ]);
}

function histogram(header: Header, share: number, median: number): Instrument {
  const bucketCounts = Array.from({ length: bounds.length + 1 }, () => 0n);
  let count = 0n;
  let sum = 0;
  return {
    service: header.service,
    read(scrape) {
      for (const [seconds, times] of calls(scrape, share, median)) {
        const at = bounds.findIndex((bound) => seconds <= bound);
        bucketCounts[at < 0 ? bounds.length : at]! += BigInt(times);
        count += BigInt(times);
        sum += seconds * times;
      }
      const point = {
        attributes: keyValues(header.attributes ?? {}),
        ...times(scrape),
        count,
        sum,
        bucketCounts: [...bucketCounts],
        explicitBounds: bounds,
      };
      return {
        ...head(header),
        data: {
          case: "histogram",
          value: { aggregationTemporality: AggregationTemporality.CUMULATIVE, dataPoints: [point] },
        },
      };
    },
  };
}

function exponentialHistogram(header: Header, share: number, median: number): Instrument {
  const counts = new Map<number, bigint>();
  let count = 0n;
  let sum = 0;
  return {
    service: header.service,
    read(scrape) {
      for (const [seconds, times] of calls(scrape, share, median)) {
        // Bucket i contains (2^(i/8), 2^((i+1)/8)].
        const index = Math.ceil(Math.log2(seconds) * 2 ** scale) - 1;
        counts.set(index, (counts.get(index) ?? 0n) + BigInt(times));
        count += BigInt(times);
        sum += seconds * times;
      }
      const indices = [...counts.keys()];
      const offset = indices.length > 0 ? Math.min(...indices) : 0;
      const length = indices.length > 0 ? Math.max(...indices) - offset + 1 : 0;
      const bucketCounts = Array.from({ length }, (_, i) => counts.get(offset + i) ?? 0n);
      const point = {
        attributes: keyValues(header.attributes ?? {}),
        ...times(scrape),
        count,
        sum,
        scale,
        positive: { offset, bucketCounts },
      };
      return {
        ...head(header),
        data: {
          case: "exponentialHistogram",
          value: { aggregationTemporality: AggregationTemporality.CUMULATIVE, dataPoints: [point] },
        },
      };
    },
  };
}

function summary(header: Header, share: number, median: number): Instrument {
  let count = 0n;
  let sum = 0;
  return {
    service: header.service,
    read(scrape) {
      const samples = calls(scrape, share, median);
      for (const [seconds, times] of samples) {
        count += BigInt(times);
        sum += seconds * times;
      }
      const sorted = samples.map(([seconds]) => seconds).sort((a, b) => a - b);
      const quantileValues = [0.5, 0.9, 0.99].map((quantile) => ({
        quantile,
        value: sorted[Math.min(sorted.length - 1, Math.floor(quantile * sorted.length))] ?? 0,
      }));
      const point = {
        attributes: keyValues(header.attributes ?? {}),
        ...times(scrape),
        count,
        sum,
        quantileValues,
      };
      return { ...head(header), data: { case: "summary", value: { dataPoints: [point] } } };
    },
  };
}

/** Creates the instruments, with all counts at zero. */
export function createInstruments(): Instrument[] {
  const cpu = services.map((service, i) =>
    gauge(
      {
        service,
        name: "process.cpu.utilization",
        unit: "1",
        description: "Share of the processors that the process uses",
      },
      ({ random, day }, anomalous) =>
        anomalous
          ? 0.96 + 0.03 * random.uniform()
          : Math.max(0.01, 0.1 + 0.03 * i + 0.25 * season(day) + 0.02 * random.normal()),
      service === "inventory" ? "metric-spike" : undefined,
    ),
  );
  const memory = services.map((service, i) =>
    sum(
      { service, name: "process.memory.usage", unit: "By", description: "Physical memory in use" },
      false,
      (_, { random, day }) => Math.round(2 ** 20 * (180 + 40 * i + 60 * season(day) + 4 * random.normal())),
    ),
  );
  const requests = (["frontend", "checkout"] as const).flatMap((service) =>
    [200, 404].map((status) =>
      sum(
        {
          service,
          name: "http.server.requests",
          unit: "{request}",
          description: "Requests answered",
          attributes: { "http.response.status_code": status },
        },
        true,
        (total, scrape) =>
          calls(scrape, status === 200 ? 0.8 : 0.02, 0.01).reduce((all, [, times]) => all + times, total),
      ),
    ),
  );
  const connections = (["used", "idle"] as const).map((state) =>
    sum(
      {
        service: "inventory",
        name: "db.client.connection.count",
        unit: "{connection}",
        description: "Connections of the pool",
        attributes: { "db.client.connection.state": state },
      },
      false,
      (_, { random, day }, anomalous) =>
        state === "used"
          ? Math.max(0, Math.round(6 + 8 * season(day) + 1.2 * random.normal())) + (anomalous ? 25 : 0)
          : Math.max(0, Math.round(10 + 1.2 * random.normal())),
      state === "used" ? "level-shift" : undefined,
    ),
  );
  return [
    ...cpu,
    ...memory,
    ...requests,
    ...connections,
    sum(
      {
        service: "checkout",
        name: "shop.carts.active",
        unit: "{cart}",
        description: "Carts that hold something",
      },
      false,
      (_, { random, day }) => Math.max(0, Math.round(120 + 300 * season(day) + 12 * random.normal())),
    ),
    gauge(
      {
        service: "notifications",
        name: "messaging.consumer.lag",
        unit: "{message}",
        description: "Messages that wait",
        attributes: { "messaging.destination.name": "orders" },
      },
      ({ random, day }) => Math.floor(random.exponential(1 + 4 * season(day))),
    ),
    histogram(
      {
        service: "frontend",
        name: "http.server.request.duration",
        unit: "s",
        description: "Duration of requests",
      },
      0.8,
      0.04,
    ),
    histogram(
      { service: "checkout", name: "rpc.server.call.duration", unit: "s", description: "Duration of calls" },
      0.5,
      0.12,
    ),
    exponentialHistogram(
      { service: "payments", name: "shop.charge.duration", unit: "s", description: "Duration of charges" },
      0.3,
      0.09,
    ),
    summary(
      { service: "inventory", name: "shop.lookup.duration", unit: "s", description: "Duration of lookups" },
      0.5,
      0.006,
    ),
  ];
}
