/** Reads the metrics that Driftlock exposes for Prometheus. */
import { send } from "../api/client.ts";

export interface Metrics {
  /** When they were read, in milliseconds. */
  at: number;
  /** The sums of all series of each metric. */
  values: ReadonlyMap<string, number>;
}

const line = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{[^}]*\})? (\S+)/;

export async function readMetrics(signal: AbortSignal): Promise<Metrics> {
  const text = await (await send("/metrics", { signal })).text();
  const values = new Map<string, number>();
  for (const each of text.split("\n")) {
    const found = line.exec(each);
    if (found === null) continue;
    const [, name, value] = found;
    values.set(name!, (values.get(name!) ?? 0) + Number(value));
  }
  return { at: performance.now(), values };
}

/** Returns how much a counter grew per second; undefined before there are two readings, or after a restart. */
export function rateOf(name: string, before: Metrics | undefined, now: Metrics): number | undefined {
  const earlier = before?.values.get(name);
  const later = now.values.get(name);
  if (before === undefined || earlier === undefined || later === undefined || later < earlier)
    return undefined;
  return (later - earlier) / ((now.at - before.at) / 1_000);
}
