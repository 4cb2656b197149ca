/**
 * Idempotency keys that several processes share through Redis, so that a request counts once whichever of them receives it again.
 * Without Redis, nobody knows whether a request is the first one of its key, so it is refused, and its sender sends it again later.
 */
import { createHash, randomUUID } from "node:crypto";
import { makeRedis, type Redis, redisPlace, within } from "../../access/redis.ts";
import { Code, ExportError } from "../../otlp/protocol.ts";
import { retryAfterMs } from "../../receive/index.ts";
import { reasonOf } from "../../store/index.ts";
import { type Claim, type IdempotencyKeys, rememberMs } from "./idempotency.ts";

/** The time after which the key of a request in work is free, if its process does not renew it any more. */
const leaseMs = 30_000;
const renewMs = 10_000;
/** The largest number of keys of a tenant. Beyond it, the oldest ones are forgotten. */
const maxPerTenant = 50_000;
const maxReconnectMs = 1_000;

/**
 * Takes a key, or returns what is known of it: the hash of the body, and the answer if there is one. KEYS: the key, the tenant's keys by
 * the time of their ends. ARGV: the hash of the body, who claims it, the lease, and the largest number of keys.
 */
const claimScript = `
local known = redis.call('HMGET', KEYS[1], 'body', 'answer')
if known[1] then return known end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'body', ARGV[1], 'owner', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - ${rememberMs})
redis.call('ZADD', KEYS[2], now, KEYS[1])
redis.call('PEXPIRE', KEYS[2], ${2 * rememberMs})
local excess = redis.call('ZCARD', KEYS[2]) - ARGV[4]
if excess > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[2], excess)
  for i = 1, #oldest, 2 do redis.call('DEL', oldest[i]) end
end
return {false, false}`;

/** Keeps an answer, also if Redis has lost the claim meanwhile. ARGV: the hash of the body, the claimant, the answer, how long. */
const keepScript = `
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], 'body', ARGV[1], 'owner', ARGV[2], 'answer', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1`;

const renewScript = `
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`;

const freeScript = `
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`;

export class SharedKeys implements IdempotencyKeys {
  readonly #place: string;
  readonly #kind: string;
  readonly #client: Promise<Redis>;
  readonly #renewing = new Set<NodeJS.Timeout>();

  /**
   * Connects in the background, and again whenever the connection is lost.
   * @param kind what the requests are about: keys of different kinds have nothing to do with one another
   */
  constructor(url: string, kind: string) {
    this.#place = redisPlace(url);
    this.#kind = kind;
    this.#client = makeRedis(url, (failures) => Math.min(maxReconnectMs, 50 * 2 ** Math.min(failures, 8)));
    this.#client.then((client) => client.connect()).catch(() => {});
  }

  /** @throws {ExportError} that is retryable if Redis does not answer. */
  async claim(tenant: string, key: string, fingerprint: string): Promise<Claim> {
    const owner = randomUUID();
    const names = this.#names(tenant, key);
    const args = [fingerprint, owner, String(leaseMs), String(maxPerTenant)];
    const [name] = names as [string, string];
    const client = await this.#client;
    const claimed = client.eval(claimScript, { keys: names, arguments: args });
    const [body, answer] = (await within(claimed).catch((cause) => {
      // A claim that succeeds after all is nobody's.
      claimed.then(() => this.#eval(freeScript, [name], [owner])).catch(() => {});
      throw new ExportError(
        Code.UNAVAILABLE,
        `the idempotency-key cannot be looked up, because limits.store (${this.#place}) does not answer: ${reasonOf(cause)}; send the request again later, or without the key`,
        retryAfterMs,
        { cause },
      );
    })) as [string | null, string | null];
    if (body !== null) {
      if (body !== fingerprint) return { kind: "other body" };
      return answer === null ? { kind: "in work" } : { kind: "again", answer: JSON.parse(answer) };
    }
    const timer = setInterval(() => {
      void this.#eval(renewScript, [name], [owner, String(leaseMs)]).catch(() => {});
    }, renewMs).unref();
    this.#renewing.add(timer);
    /** If Redis is away now, the request has had its effect all the same, and the lease ends by itself. */
    const end = async (script: string, ...values: string[]) => {
      clearInterval(timer);
      this.#renewing.delete(timer);
      await this.#eval(script, [name], values).catch(() => {});
    };
    return {
      kind: "first",
      keep: (given) => end(keepScript, fingerprint, owner, JSON.stringify(given), String(rememberMs)),
      free: () => end(freeScript, owner),
    };
  }

  async close(): Promise<void> {
    for (const timer of this.#renewing) clearInterval(timer);
    (await this.#client).destroy();
  }

  /** The names are hashes, so that no tenant can choose one that is another's. */
  #names(tenant: string, key: string): string[] {
    const hash = (...parts: string[]) =>
      createHash("sha256").update(JSON.stringify(parts)).digest("base64url");
    const of = `driftlock:idempotency:{${hash(this.#kind, tenant)}}`;
    return [`${of}:${hash(key)}`, of];
  }

  async #eval(script: string, keys: string[], args: string[]): Promise<unknown> {
    const client = await this.#client;
    return within(client.eval(script, { keys, arguments: args }));
  }
}
