import type { Batch, Gap, LiveEvent, LiveItem } from "./event.ts";

/** Subsets of each batch, by the events that they contain. */
const known = new WeakMap<Batch, Map<string, Batch>>();

/**
 * Returns the events that are wanted. Readers that want the same events of a batch are given the same array, so that it is
 * encoded once, and a slow reader holds no bytes of its own.
 */
export function narrow<T extends LiveItem>(
  batch: Batch<T>,
  wants: (event: LiveEvent<T> | Gap) => boolean,
): Batch<T> {
  const wanted = batch.map((event) => (wants(event) ? "1" : "0")).join("");
  if (!wanted.includes("0")) return batch;
  const batches = (known.get(batch) ?? new Map()) as Map<string, Batch<T>>;
  known.set(batch, batches);
  let narrowed = batches.get(wanted);
  if (narrowed === undefined) {
    narrowed = batch.filter((_, i) => wanted[i] === "1");
    batches.set(wanted, narrowed);
  }
  return narrowed;
}
