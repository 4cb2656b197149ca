import type { Metric, Registry } from "prom-client";
import type { Definition } from "./definitions.ts";

interface Series<Label extends string> {
  labels: Partial<Record<Label, string>>;
  /** The number of durations up to each bound and above the one before; the last are above all bounds. */
  counts: number[];
  sum: number;
}

/**
 * A histogram of durations in seconds, for a registry of prom-client. The histogram of prom-client itself finds a bucket by the text
 * of its bound, which takes longer than everything else that is counted for a request.
 */
export class Durations<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly type = "histogram";
  readonly aggregator = "sum";
  readonly #labels: readonly Label[];
  readonly #bounds: readonly number[];
  readonly #series = new Map<string, Series<Label>>();

  /** @param bounds the upper bounds of the buckets in seconds, in ascending order */
  constructor({ name, help, labels }: Definition<Label>, bounds: readonly number[], registry: Registry) {
    this.name = name;
    this.help = help;
    this.#labels = Object.keys(labels) as Label[];
    this.#bounds = bounds;
    // A histogram without labels has its only series from the start.
    if (this.#labels.length === 0) this.#seriesOf({});
    registry.registerMetric(this as unknown as Metric);
  }

  observe(labels: Record<Label, string>, seconds: number): void {
    const series = this.#seriesOf(labels);
    let bucket = 0;
    while (bucket < this.#bounds.length && seconds > this.#bounds[bucket]!) bucket++;
    series.counts[bucket]! += 1;
    series.sum += seconds;
  }

  /** Called by the registry whenever the metrics are read. */
  get() {
    const values = [];
    for (const { labels, counts, sum } of this.#series.values()) {
      let count = 0;
      for (const [i, number] of counts.entries()) {
        count += number;
        const le = this.#bounds[i] ?? "+Inf";
        values.push({ metricName: `${this.name}_bucket`, labels: { le, ...labels }, value: count });
      }
      values.push({ metricName: `${this.name}_sum`, labels, value: sum });
      values.push({ metricName: `${this.name}_count`, labels, value: count });
    }
    return { name: this.name, help: this.help, type: this.type, aggregator: this.aggregator, values };
  }

  #seriesOf(labels: Partial<Record<Label, string>>): Series<Label> {
    let key = "";
    for (const label of this.#labels) key += `${labels[label]}\0`;
    let series = this.#series.get(key);
    if (series === undefined) {
      series = { labels: { ...labels }, counts: new Array(this.#bounds.length + 1).fill(0), sum: 0 };
      this.#series.set(key, series);
    }
    return series;
  }
}
