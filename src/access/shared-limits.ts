/**
 * Limits of several processes together, in Redis. Each goes on from its own buckets, in memory, and every 100 ms they
 * exchange what they took for what is left: no request waits for Redis. Within such a span each process may let pass what
 * it believed to be left; since buckets may go below zero, that is paid back, and the rate in the long run is exact.
 *
 * While Redis is away or slow each process keeps the limits by itself, so that together they let pass more; what passed
 * then is not charged later.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { createClient } from "@redis/client";
import type { Logger } from "pino";
import { endsWithin } from "../base/deadline.ts";
import { reasonOf } from "../store/index.ts";
import type { Day, Days } from "./days.ts";
import type { Limiter, NamedBucket } from "./limits.ts";

export interface SharingState {
  shared: boolean;
  /** Why, in either case. */
  reason: string;
  /** Connections and exchanges that failed, since the start. */
  failures: number;
}

/** Between exchanges. */
const exchangeMs = 100;
/** Without anything to tell Redis is asked whether it is there. */
const idleMs = 1_000;
const connectMs = 1_000;
/** For an answer; then the connection is given up. */
const answerMs = 500;
const retryMs = 100;
const maxRetryMs = 5_000;
/** Buckets or days a call: Redis does nothing else meanwhile. */
const atOnce = 100;

/**
 * Takes from buckets and gives their levels. By Redis' clock, so that those of processes need not agree. A bucket that is
 * full again is as good as none.
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

/** Adds to days and gives their counts; a day is gone a day after it has ended. */
const countScript = `
local counts = {}
for i, key in ipairs(KEYS) do
  counts[2 * i - 1] = redis.call('HINCRBY', key, 'records', ARGV[2 * i - 1])
  counts[2 * i] = redis.call('HINCRBY', key, 'bytes', ARGV[2 * i])
  redis.call('EXPIRE', key, 172800)
end
return counts`;

type Client = ReturnType<typeof createClient>;

/** The URL without user, password and options. */
export function redisPlace(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

export class SharedLimits {
  readonly #url: string;
  readonly #place: string;
  readonly #limiter: Pick<Limiter, "takeAsked">;
  readonly #days: Pick<Days, "takeAsked">;
  readonly #log: Logger;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #shared = false;
  #reason = "not connected yet";
  #failures = 0;
  /** When Redis last answered, on the clock of `performance`. */
  #answeredAt = Number.NEGATIVE_INFINITY;

  /** Connects in the background, again and again. */
  constructor(url: string, limiter: Pick<Limiter, "takeAsked">, days: Pick<Days, "takeAsked">, log: Logger) {
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
      let client: Client | undefined;
      try {
        client = await this.#client();
        await within(connectMs, client.connect());
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

  /** Loaded where it is wanted alone. */
  async #client(): Promise<Client> {
    const { createClient } = await import("@redis/client");
    const client = createClient({
      url: this.#url,
      name: "driftlock",
      socket: { connectTimeout: connectMs, reconnectStrategy: false },
      disableOfflineQueue: true,
      maintNotifications: "disabled",
    });
    // What breaks is seen by the next call; unheard, the event would end the process.
    client.on("error", () => {});
    return client as unknown as Client;
  }

  async #exchange(client: Client): Promise<void> {
    const buckets = this.#limiter.takeAsked();
    const days = this.#days.takeAsked();
    for (const part of parts(buckets)) await this.#take(client, part);
    for (const part of parts(days)) await this.#count(client, part);
    if (performance.now() - this.#answeredAt >= idleMs) await this.#heard(client.ping());
  }

  async #take(client: Client, buckets: readonly NamedBucket[]): Promise<void> {
    const keys = buckets.map(({ tenant, name }) => `driftlock:limit:${tenant}:${name}`);
    const costs = buckets.flatMap(({ bucket }) => [bucket.rate, bucket.capacity, bucket.tell()].map(String));
    const levels = await this.#heard(client.eval(takeScript, { keys, arguments: costs }));
    const now = performance.now();
    for (const [i, { bucket }] of buckets.entries()) bucket.adopt(Number((levels as string[])[i]), now);
  }

  async #count(client: Client, days: readonly Day[]): Promise<void> {
    const keys = days.map(({ tenant, name }) => `driftlock:day:${tenant}:${name}`);
    const amounts = days.flatMap((day) => {
      const { records, bytes } = day.tell();
      return [String(records), String(bytes)];
    });
    const counts = (await this.#heard(client.eval(countScript, { keys, arguments: amounts }))) as number[];
    for (const [i, day] of days.entries()) day.adopt({ records: counts[2 * i]!, bytes: counts[2 * i + 1]! });
  }

  async #heard<T>(answer: Promise<T>): Promise<T> {
    const value = await within(answerMs, answer);
    this.#answeredAt = performance.now();
    if (!this.#shared)
      this.#log.info({ store: this.#place }, "limits: shared with other processes through limits.store");
    this.#shared = true;
    return value;
  }

  #fail(reason: string): void {
    const said = this.#shared || this.#failures === 0;
    this.#failures += 1;
    this.#shared = false;
    this.#reason = reason;
    this.#answeredAt = Number.NEGATIVE_INFINITY;
    if (said)
      this.#log.warn(
        { store: this.#place, reason },
        "limits: limits.store is unavailable; each process enforces the limits on its own",
      );
  }

  /** What passed while Redis was away was allowed; days go on counting. */
  #forgive(): void {
    for (const { bucket } of this.#limiter.takeAsked()) bucket.tell();
  }

  async #sleep(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#closing.signal, ref: false }).catch(() => {});
  }
}

function* parts<T>(all: readonly T[]): Generator<T[]> {
  for (let at = 0; at < all.length; at += atOnce) yield all.slice(at, at + atOnce);
}

/** @throws {Error} if the answer does not come in time. */
async function within<T>(ms: number, answer: Promise<T>): Promise<T> {
  if (await endsWithin(ms, answer)) return answer;
  throw new Error(`no answer within ${ms} ms`);
}
