/** Metrics of single streams, for alerting. */
import { channelName, type StreamState, signalName } from "../anomaly/names.ts";
import type { AnomalySink } from "../anomaly/report.ts";
import type { Anomaly } from "../gen/driftlock/v1/anomaly_pb.js";
import { State } from "../gen/driftlock/v1/anomaly_pb.js";

/** What the engine has counted of a stream lately. */
interface Statistics {
  tenant: string;
  key: string;
  signal: number;
  service: string;
  state: StreamState;
  channel: number;
  channelScore: number;
  limit: number;
}

export type StreamLabels = Record<"tenant" | "signal" | "service" | "stream", string>;

/** The metrics of one stream. */
export interface StreamSeries {
  labels: StreamLabels;
  channel: string;
  score: number;
  limit: number;
  /** The ids of its open anomalies. */
  open: Set<string>;
  expected: Anomaly["expected"];
}

/** Keeps the latest figures of a bounded number of streams. */
export class StreamMetrics {
  readonly #most: number;
  /** The streams, the one that changed first in front. */
  readonly #series = new Map<string, StreamSeries>();
  /** The streams that had no room since the last time that all were read. */
  readonly #omitted = new Set<string>();

  constructor(most: number) {
    this.#most = most;
  }

  /** Takes what has changed of streams. */
  update(streams: readonly Statistics[]): void {
    for (const { tenant, key, signal, service, state, channel, channelScore, limit } of streams) {
      if (state === "evicted" || state === "shelved") {
        this.#forget(tenant, key);
        continue;
      }
      const series = this.#find(tenant, key, signal, service, false);
      if (series === undefined) continue;
      Object.assign(series, { channel: channelName(channel), score: channelScore, limit });
    }
  }

  /** Takes the reports of anomalies. */
  readonly offer: AnomalySink = ({ message }) => {
    const { tenant, stream, signal, serviceName, id, state, expected, channel, score, limit } = message;
    const series = this.#find(tenant, stream, signal, serviceName, state === State.OPEN);
    if (series === undefined) return;
    if (state === State.OPEN) {
      series.open.add(id);
      series.expected = expected;
      if (isGroup(stream)) Object.assign(series, { channel: channelName(channel), score, limit });
      return;
    }
    series.open.delete(id);
    if (series.open.size > 0) return;
    series.expected = undefined;
    if (isGroup(stream)) series.score = 0;
  };

  /** Takes the end of an anomaly, and ignores other reports. */
  readonly end: AnomalySink = (report) => {
    if (report.message.state === State.ENDED) this.offer(report);
  };

  get series(): Iterable<StreamSeries> {
    return this.#series.values();
  }

  get omitted(): number {
    return this.#omitted.size;
  }

  #forget(tenant: string, stream: string): void {
    const key = keyOf(tenant, stream);
    // An anomaly stays open until its end is reported.
    if (this.#series.get(key)?.open.size === 0) this.#series.delete(key);
    this.#omitted.delete(key);
  }

  /** Finds a stream, or adds it if there is room. @param urgent whether a quiet stream makes room. */
  #find(
    tenant: string,
    stream: string,
    signal: number,
    service: string,
    urgent: boolean,
  ): StreamSeries | undefined {
    const key = keyOf(tenant, stream);
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size >= this.#most && !(urgent && this.#makeRoom())) {
      if (this.#omitted.size < maxOmitted) this.#omitted.add(key);
      return undefined;
    }
    this.#omitted.delete(key);
    const labels = { tenant, signal: signalName(signal), service, stream };
    const series = {
      labels,
      channel: "unspecified",
      score: 0,
      limit: 0,
      open: new Set<string>(),
      expected: undefined,
    };
    this.#series.set(key, series);
    return series;
  }

  #makeRoom(): boolean {
    for (const [key, { open }] of this.#series) {
      if (open.size > 0) continue;
      this.#series.delete(key);
      this.#omitted.add(key);
      return true;
    }
    return false;
  }
}

/** The most streams without metrics that are counted. */
const maxOmitted = 100_000;

/** Statistics are about single streams only; what is known of a resource group is in its reports. */
const isGroup = (stream: string) => stream.startsWith("group ");

const keyOf = (tenant: string, stream: string) => `${tenant}\0${stream}`;
