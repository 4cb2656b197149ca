/** The engines of the partitions that a worker has, counted as one although they come and go. */
import type { Engine } from "../engine/index.ts";
import type { EngineStats } from "../native.ts";

/** What engines count, which must never decrease, and what they tell of the present. */
const counts = [
  "evicted",
  "untold",
  "withheldByStreams",
  "withheldByGroups",
  "withheldByTenants",
  "withheldByProcess",
  "graphGaveWay",
] as const;
const present = [
  "streams",
  "learning",
  "bytes",
  "pending",
  "graphPlaces",
  "graphCalls",
  "graphSpans",
] as const;

type Counts = Record<(typeof counts)[number], number>;

export class Engines {
  /** What each engine had counted when it began to judge what nobody had judged before; undefined as long as it replays. */
  readonly #engines = new Map<Engine, Counts | undefined>();
  /** What the engines counted that are gone. */
  readonly #gone = Object.fromEntries(counts.map((name) => [name, 0])) as Counts;

  /** Adds an engine that judges again what others have counted. */
  add(engine: Engine): void {
    this.#engines.set(engine, undefined);
  }

  /** From now on, what the engine counts is new. */
  replayed(engine: Engine): void {
    this.#engines.set(engine, engine.stats());
  }

  /** Must be called before the engine is closed. */
  remove(engine: Engine): void {
    const before = this.#engines.get(engine);
    this.#engines.delete(engine);
    if (before === undefined) return;
    const now = engine.stats();
    for (const name of counts) this.#gone[name] += now[name] - before[name];
  }

  stats(): EngineStats {
    const all: EngineStats = {
      ...this.#gone,
      streams: 0,
      learning: 0,
      bytes: 0,
      pending: 0,
      graphPlaces: 0,
      graphCalls: 0,
      graphSpans: 0,
      privacy: {},
    };
    for (const [engine, before] of this.#engines) {
      const now = engine.stats();
      for (const name of present) all[name] += now[name];
      if (before !== undefined) for (const name of counts) all[name] += now[name] - before[name];
    }
    return all;
  }
}
