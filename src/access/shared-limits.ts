/**
 * Limits that several processes share through Redis. Each process admits requests from its own buckets in memory and
 * exchanges what it took for the remaining budget every 100 ms, so that no request waits for Redis. Within this interval
 * each process may admit what it believed to be left. Since buckets may become negative, this is repaid, and the rate is
 * exact in the long run.
 *
 * While Redis is unavailable or slow, each process enforces the limits on its own, so that together they admit more.
 * This is not charged later.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { reasonOf } from "../store/index.ts";
import type { Day, Days } from "./days.ts";
import type { Limiter, NamedBucket } from "./limits.ts";
import { connectMs, makeRedis, type Redis, redisPlace, within } from "./redis.ts";

export interface SharingState {
  shared: boolean;
  /** The reason in either case. */
  reason: string;
  /** Connections and exchanges that have failed since the start. */
  failures: number;
}

/** The time between two exchanges. */
const exchangeMs = 100;
/** If there is nothing to exchange for this long, Redis is pinged. */
const idleMs = 1_000;
const retryMs = 100;
const maxRetryMs = 5_000;
/** Maximum number of buckets or days per call, during which Redis does nothing else. */
const atOnce = 100;

/**
 * Takes from buckets and returns their levels. Uses the clock of Redis, so that the clocks of the processes need not
 * agree. A bucket that is full again expires.
 */
const takeScript = `
local time = redis.call('TIME')
local now = time[1] + time[2] / 1e6
local levels = {}
for i, key in ipairs(KEYS) do
  local rate, capacity, cost = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local held = redis.call('HMGET', key, 'level', 'at')
  local level, at = tonumber(held[1]) or capacity, tonumber(held[2]) or now
  level = math.min(capacity, level + math.max(0, now - at) * rate) - cost
  redis.call('HSET', key, 'level', string.format('%.17g', level), 'at', string.format('%.6f', now))
  redis.call('PEXPIRE', key, string.format('%.0f', (capacity - level) / rate * 1000 + 1000))
  levels[i] = string.format('%.17g', level)
end
return levels`;

/** Adds to days and returns their counts. A day expires one day after its end. */
const countScript = `
local counts = {}
for i, key in ipairs(KEYS) do
  counts[2 * i - 1] = redis.call('HINCRBY', key, 'records', ARGV[2 * i - 1])
  counts[2 * i] = redis.call('HINCRBY', key, 'bytes', ARGV[2 * i])
  redis.call('EXPIRE', key, 172800)
end
return counts`;

export class SharedLimits {
  readonly #url: string;
  readonly #place: string;
  readonly #limiter: Pick<Limiter, "takeUsed">;
  readonly #days: Pick<Days, "takeUsed">;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #shared = false;
  #reason = "not connected yet";
  #failures = 0;
  /** When Redis last answered, on the clock of `performance`. */
  #answeredAt = Number.NEGATIVE_INFINITY;

  /** Connects in the background, and reconnects whenever the connection is lost. */
  constructor(url: string, limiter: Pick<Limiter, "takeUsed">, days: Pick<Days, "takeUsed">, log: Logger) {
    this.#url = url;
    this.#place = redisPlace(url);
    this.#limiter = limiter;
    this.#days = days;
    this.#log = log;
    this.#running = this.#run();
  }

  state(): SharingState {
    const reason = this.#shared
      ? `${this.#place} answers`
      : `${this.#place}: ${this.#reason}; each process keeps the limits by itself`;
    return { shared: this.#shared, reason, failures: this.#failures };
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let pause = retryMs;
    while (!signal.aborted) {
      let client: Redis | undefined;
      try {
        client = await makeRedis(this.#url);
        await within(client.connect(), connectMs);
        this.#forgive();
        while (!signal.aborted) {
          await this.#exchange(client);
          pause = retryMs;
          await this.#sleep(exchangeMs);
        }
      } catch (error) {
        this.#fail(reasonOf(error));
      } finally {
        if (client?.isOpen) client.destroy();
      }
      await this.#sleep(pause);
      this.#forgive();
      pause = Math.min(2 * pause, maxRetryMs);
    }
  }

  async #exchange(client: Redis): Promise<void> {
    const buckets = this.#limiter.takeUsed();
    const days = this.#days.takeUsed();
    for (const part of parts(buckets)) await this.#take(client, part);
    for (const part of parts(days)) await this.#count(client, part);
    if (performance.now() - this.#answeredAt >= idleMs) await this.#answered(client.ping());
  }

  async #take(client: Redis, buckets: readonly NamedBucket[]): Promise<void> {
    const keys = buckets.map(({ tenant, name }) => `driftlock:limit:${tenant}:${name}`);
    const costs = buckets.flatMap(({ bucket }) => [bucket.rate, bucket.capacity, bucket.flush()].map(String));
    const levels = await this.#answered(client.eval(takeScript, { keys, arguments: costs }));
    const now = performance.now();
    for (const [i, { bucket }] of buckets.entries()) bucket.adopt(Number((levels as string[])[i]), now);
  }

  async #count(client: Redis, days: readonly Day[]): Promise<void> {
    const keys = days.map(({ tenant, name }) => `driftlock:day:${tenant}:${name}`);
    const amounts = days.flatMap((day) => {
      const { records, bytes } = day.flush();
      return [String(records), String(bytes)];
    });
    const counts = (await this.#answered(client.eval(countScript, { keys, arguments: amounts }))) as number[];
    for (const [i, day] of days.entries()) day.adopt({ records: counts[2 * i]!, bytes: counts[2 * i + 1]! });
  }

  async #answered<T>(answer: Promise<T>): Promise<T> {
    const value = await within(answer);
    this.#answeredAt = performance.now();
    if (!this.#shared)
      this.#log.info({ store: this.#place }, "limits: shared with other processes through limits.store");
    this.#shared = true;
    return value;
  }

  #fail(reason: string): void {
    const isNew = this.#shared || this.#failures === 0;
    this.#failures += 1;
    this.#shared = false;
    this.#reason = reason;
    this.#answeredAt = Number.NEGATIVE_INFINITY;
    if (isNew)
      this.#log.warn(
        { store: this.#place, reason },
        "limits: limits.store is unavailable; each process enforces the limits on its own",
      );
  }

  /** Does not charge what was admitted while Redis was unavailable. Days keep counting. */
  #forgive(): void {
    for (const { bucket } of this.#limiter.takeUsed()) bucket.flush();
  }

  async #sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#closing.signal, ref: false }).catch(() => {});
  }
}

function* parts<T>(all: readonly T[]): Generator<T[]> {
  for (let at = 0; at < all.length; at += atOnce) yield all.slice(at, at + atOnce);
}
