import type { Stream } from "../api/types.ts";

/** The states of a stream, with what they mean. */
export const streamStates: Readonly<Record<Stream["state"], { name: string; meaning: string }>> = {
  learning: { name: "Learning", meaning: "It raises no alarm yet." },
  watching: { name: "Watching", meaning: "It is judged." },
  shelved: {
    name: "Shelved",
    meaning: "It has given way to newer streams, and continues from where it was when records arrive again.",
  },
  evicted: { name: "Evicted", meaning: "It has given way to newer streams, and learns again." },
  limited: { name: "Limited", meaning: "It is beyond the limit of streams of the tenant and is not judged." },
  excluded: { name: "Excluded", meaning: "A policy says that it is not judged." },
};

/** When its first verdicts are due, in milliseconds from its latest record; undefined if that cannot be told. */
export function dueIn({ state, progress, first_seen, last_seen }: Stream): number | undefined {
  const elapsed = Date.parse(last_seen) - Date.parse(first_seen);
  if (state !== "learning" || progress <= 0 || progress >= 1 || elapsed <= 0) return undefined;
  return (elapsed / progress) * (1 - progress);
}
