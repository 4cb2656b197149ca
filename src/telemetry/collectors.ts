/** Metrics whose values are kept elsewhere, and read whenever the metrics are. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { Definition } from "./definitions.ts";

/** Returns what makes the options of prom-client from a definition. */
export const optionsIn =
  (registers: Registry[]) =>
  <L extends string>({ name, help, labels }: Definition<L>) => ({
    name,
    help,
    labelNames: Object.keys(labels) as L[],
    registers,
  });

export type Collectors = ReturnType<typeof collectors>;

export function collectors(registers: Registry[]) {
  const options = optionsIn(registers);
  /** Reads the values of the only label of a metric. */
  const labelled = <L extends string>(
    { labels }: Definition<L>,
    read: () => Readonly<Record<string, number>>,
  ) => {
    const [label] = Object.keys(labels) as [L];
    return Object.entries(read()).map(
      ([value, number]) => [{ [label]: value } as Record<L, string>, number] as const,
    );
  };
  return {
    gauge: (definition: Definition<never>, read: () => number) =>
      new Gauge({
        ...options(definition),
        collect() {
          this.set(read());
        },
      }),
    /** A gauge by the values of its label. */
    gauges: <L extends string>(definition: Definition<L>, read: () => Readonly<Record<string, number>>) =>
      new Gauge<L>({
        ...options(definition),
        collect() {
          this.reset();
          for (const [labels, value] of labelled(definition, read)) this.set(labels, value);
        },
      }),
    total: (definition: Definition<never>, read: () => number) =>
      new Counter({
        ...options(definition),
        collect() {
          this.reset();
          this.inc(read());
        },
      }),
    /** A counter by the values of its label. */
    totals: <L extends string>(definition: Definition<L>, read: () => Readonly<Record<string, number>>) =>
      new Counter<L>({
        ...options(definition),
        collect() {
          this.reset();
          for (const [labels, count] of labelled(definition, read)) this.inc(labels, count);
        },
      }),
  };
}
