/** A tenant in which nothing is wrong: twelve services with logs, traces and some two hundred metric streams. */
import { AggregationTemporality } from "../../../src/gen/opentelemetry/proto/metrics/v1/metrics_pb.js";
import { Random } from "../../../src/generate/random.ts";
import { text } from "../../../src/generate/records.ts";
import type { Row } from "../../table.ts";
import { Orders, rhythm } from "../orders.ts";
import { kindOf } from "../quiet.ts";
import { encodeLogs, encodeMetrics, encodeTraces } from "../requests.ts";
import { Operator, tally } from "./alarms.ts";

const days = Number(process.env.DAYS ?? 10);
const seed = process.env.SEED ?? "quiet-tenant";
const start = Date.UTC(2026, 0, 5);
const end = start + days * 86_400_000;
const services = 12;
const metricsPerService = 17;
/** The milliseconds between points, and the means between visits and between log records. */
const scrape = 120_000;
const visitGap = 60_000;
const lineGap = 30_000;

const nano = (ms: number) => BigInt(Math.round(ms)) * 1_000_000n;

/** A metric as services have them: a level with noise, one that follows the day, one that wanders, a counter, a spiky one. */
class Metric {
  readonly #random: Random;
  readonly #kind: number;
  readonly #scale: number;
  #state = 0;
  #total = 0;

  constructor(seed: string, kind: number) {
    this.#random = new Random(seed);
    this.#kind = kind % 5;
    this.#scale = this.#random.logNormal(100, 1.5);
  }

  get counts(): boolean {
    return this.#kind === 3;
  }

  at(time: number): number {
    const random = this.#random;
    switch (this.#kind) {
      case 0:
        return this.#scale * (1 + 0.05 * random.normal());
      case 1:
        return this.#scale * (rhythm(time) + 0.05 * random.normal());
      case 2:
        this.#state = 0.98 * this.#state + random.normal();
        return this.#scale * (10 + this.#state);
      case 3:
        this.#total += random.exponential(this.#scale * rhythm(time)) + this.#scale;
        return this.#total;
      default:
        return random.logNormal(this.#scale, 0.8);
    }
  }
}

class Service {
  readonly name: string;
  readonly #random: Random;
  readonly #orders: Orders;
  readonly #metrics: Metric[];

  constructor(number: number) {
    this.name = `service-${number}`;
    const own = `${seed}/${number}`;
    this.#random = new Random(own);
    this.#orders = new Orders(`${own}/orders`);
    this.#metrics = Array.from({ length: metricsPerService }, (_, i) => new Metric(`${own}/metric/${i}`, i));
  }

  *#times(from: number, to: number, gap: number): Generator<number> {
    for (
      let time = from + this.#random.exponential(gap / rhythm(from));
      time < to;
      time += this.#random.exponential(gap / rhythm(time))
    ) {
      yield time;
    }
  }

  logs(from: number, to: number): Buffer {
    const logRecords = [...this.#times(from, to, lineGap)].map((time) => ({
      timeUnixNano: nano(time),
      body: text(kindOf(this.#random)(this.#random)),
    }));
    return encodeLogs(this.name, logRecords);
  }

  traces(from: number, to: number): Buffer {
    const visits = [...this.#times(from, to, visitGap)].map((time) => this.#orders.visit(time));
    return encodeTraces(
      this.name,
      visits.flatMap(({ spans }) => spans),
    );
  }

  metrics(time: number): Buffer {
    const metrics = this.#metrics.map((metric, i) => {
      const point = {
        timeUnixNano: nano(time),
        startTimeUnixNano: nano(start),
        value: { case: "asDouble" as const, value: metric.at(time) },
      };
      return {
        name: `metric.${i}`,
        data: metric.counts
          ? {
              case: "sum" as const,
              value: {
                dataPoints: [point],
                isMonotonic: true,
                aggregationTemporality: AggregationTemporality.CUMULATIVE,
              },
            }
          : { case: "gauge" as const, value: { dataPoints: [point] } },
      };
    });
    return encodeMetrics({ "service.name": this.name }, metrics);
  }
}

export async function quietTenant(): Promise<Row[]> {
  const all = Array.from({ length: services }, (_, i) => new Service(i));
  const operator = new Operator();
  for (let time = start; time < end; time += scrape) {
    for (const service of all) {
      const logs = service.logs(time, time + scrape);
      const traces = service.traces(time, time + scrape);
      if (logs.length > 0) await operator.process("logs", logs);
      if (traces.length > 0) await operator.process("traces", traces);
      await operator.process("metrics", service.metrics(time + scrape));
    }
  }
  const { streams } = operator.engine.stats();
  await operator.close();
  const { alarms } = operator;
  return [
    {
      data: `${services} services, ${services * metricsPerService} metric streams`,
      days,
      streams,
      records: operator.records,
      "false alarms": alarms.length,
      "false per day": (alarms.length / days).toFixed(2),
      "on the first day": alarms.filter(({ from }) => from < start + 86_400_000).length,
      channels: tally(alarms, ({ channel, stream }) => `${channel} of ${stream.split(" ")[0]}`),
    },
  ];
}
