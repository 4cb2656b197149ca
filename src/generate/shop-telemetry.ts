import type { Signal } from "../otlp/protocol.ts";
import { type AnomalyName, anomalyKinds, type Schedule } from "./anomalies.ts";
import type { Batch, TelemetryOptions } from "./batch.ts";
import { Encoder } from "./encode.ts";
import { Injections } from "./injections.ts";
import { createInstruments, type Instrument } from "./instruments.ts";
import { Random } from "./random.ts";
import type { Item } from "./records.ts";
import { Traffic } from "./traffic.ts";

export interface ShopOptions extends TelemetryOptions {
  /** The anomalies, in the order of their starts. */
  schedule: Iterable<Schedule>;
  /** Is called when an anomaly begins. */
  onAnomaly?: ((anomaly: Schedule) => void) | undefined;
}

export interface ShopBatch extends Batch {
  /** The anomaly of each record, in wire order. */
  truths: (AnomalyName | undefined)[];
}

/** Share of the metric points in all records, if there are other signals as well. */
const metricsShare = 0.1;
const nanosPerDay = 86_400_000_000_000n;

type Pace = Pick<ShopOptions, "signals" | "rate" | "speed">;

/** Returns the milliseconds of stream time from one scrape of the metrics to the next. */
export function scrapeInterval({ signals, rate, speed }: Pace): number {
  const share = signals.length > 1 ? metricsShare : 1;
  return (createInstruments().length / (share * rate)) * speed * 1_000;
}

/** Returns the average number of records of these signals per visit. */
function recordsPerJourney(signals: readonly Signal[]): number {
  const visits = 2_000;
  const traffic = new Traffic("mean", 0n, new Injections([], "mean"), signals);
  let records = 0;
  for (let i = 0; i < visits; i++) records += traffic.journey(0).length;
  return records / visits;
}

/** Visits per second if metrics are the only signal, so that counters and histograms still grow. */
const untoldLoad = 1;

/** Generates the telemetry of the shop as requests, in the order of time. The same options yield the same bytes. */
export class ShopTelemetry {
  readonly #options: ShopOptions;
  readonly #injections: Injections;
  readonly #traffic: Traffic;
  readonly #encoder: Encoder;
  readonly #instruments: Instrument[] = createInstruments();
  readonly #pending: Map<Signal, Item[]>;
  /** Visits per second of stream time. */
  readonly #load: number;

  constructor(options: ShopOptions) {
    const { seed, startUnixNano, schedule, onAnomaly, signals, rate, speed } = options;
    this.#options = options;
    this.#injections = new Injections(schedule, seed, onAnomaly);
    this.#traffic = new Traffic(seed, startUnixNano, this.#injections, signals);
    this.#encoder = new Encoder(seed);
    this.#pending = new Map(signals.map((signal) => [signal, []]));
    const others = signals.filter((signal) => signal !== "metrics");
    const share = others.length < signals.length ? 1 - metricsShare : 1;
    this.#load = others.length > 0 ? (share * rate) / speed / recordsPerJourney(others) : 0;
  }

  /** The counts of each anomaly so far. */
  get injected(): Injections["totals"] {
    return this.#injections.totals;
  }

  *batches(): Generator<ShopBatch, void> {
    const { seed, duration, speed, signals } = this.#options;
    const random = new Random(`${seed}/arrivals`);
    const end = duration * 1_000;
    const gap = 1e6 / this.#load;
    const scrape = signals.includes("metrics") ? scrapeInterval(this.#options) * 1_000 : Infinity;
    // Requests are flushed every second of wall time, like those of batch processors.
    const flush = 1e6 * speed;
    let arrival = this.#load > 0 ? random.exponential(gap) : Infinity;
    let nextScrape = scrape;
    let nextFlush = flush;
    for (;;) {
      const time = Math.min(arrival, nextScrape, nextFlush, this.#injections.due);
      if (time >= end) break;
      for (const injection of this.#injections.advance(time)) this.#add(this.#traffic.shot(injection, time));
      if (time === arrival) {
        this.#add(this.#traffic.journey(Math.round(time)));
        arrival += random.exponential(gap);
      }
      if (time === nextScrape) {
        this.#add(this.#scrape(time, scrape / 1e6));
        nextScrape += scrape;
      }
      yield* this.#flush(time, time === nextFlush ? 1 : this.#options.recordsPerRequest);
      if (time === nextFlush) nextFlush += flush;
    }
    yield* this.#flush(end, 1);
  }

  #add(items: readonly Item[]): void {
    for (const item of items) this.#pending.get(item.signal)?.push(item);
  }

  /** Yields the requests of all signals for which at least this many records wait. */
  *#flush(time: number, least: number): Generator<ShopBatch, void> {
    for (const [signal, items] of this.#pending) {
      while (items.length >= least) {
        const taken = items.splice(0, this.#options.recordsPerRequest).sort((a, b) => a.time - b.time);
        yield { signal, time: time / 1_000, records: taken.length, ...this.#encoder.encode(signal, taken) };
      }
    }
  }

  #scrape(time: number, seconds: number): Item[] {
    const { seed, startUnixNano } = this.#options;
    const unixNano = startUnixNano + BigInt(Math.round(time)) * 1_000n;
    const scrape = {
      random: new Random(`${seed}/scrape/${time}`),
      startUnixNano,
      unixNano,
      seconds,
      day: Number(unixNano % nanosPerDay) / Number(nanosPerDay),
      load: this.#load || untoldLoad,
    };
    const silence = this.#injections.find("silence");
    return this.#instruments.flatMap((instrument): Item[] => {
      const { service, shows } = instrument;
      const injection = shows && this.#injections.find(shows);
      const record = instrument.read(scrape, injection !== undefined);
      if (silence && service === anomalyKinds.silence.service) {
        this.#injections.withhold(silence, 1);
        return [];
      }
      const truth = injection && this.#injections.mark(injection);
      return [{ signal: "metrics", service, time, truth, record }];
    });
  }
}
