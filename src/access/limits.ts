/** What each tenant may send and ask: rates by token buckets, quotas by the day. Answers at once, from memory. */
import type { LimitsConfig } from "../config/schema.ts";
import { Code, ExportError } from "../otlp/protocol.ts";
import { Bucket } from "./bucket.ts";

/** Tenants whose buckets are held; a full bucket is worth no memory. */
const maxTenants = 10_000;

/** What is limited by the second. */
type Rated = "ingest" | "queries" | "records" | "bytes";

export interface NamedBucket {
  tenant: string;
  name: Rated;
  bucket: Bucket;
}

/** What the tenant has sent since midnight, UTC, as far as it is known, and in how many milliseconds the day ends. */
export type Today = (tenant: string) => { records: number; bytes: number; endsIn: number };

export class Limiter {
  readonly #config: LimitsConfig;
  readonly #today: Today;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Partial<Record<Rated, NamedBucket>>>();
  /** Since `takeAsked`; kept where limits are shared. */
  readonly #asked: Set<NamedBucket> | undefined;

  /** @param now milliseconds by a clock that never steps: whoever sets the machine's clock back would refuse everyone. */
  constructor(config: LimitsConfig, today: Today, now: () => number = () => performance.now()) {
    this.#config = config;
    this.#today = today;
    this.#now = now;
    this.#asked = config.store === undefined ? undefined : new Set();
  }

  /**
   * Counts a request that sends records.
   * @throws {ExportError} RESOURCE_EXHAUSTED with the time to wait, where the tenant is beyond a rate or quota.
   */
  admitIngest(tenant: string): void {
    const now = this.#now();
    const { records_per_day, bytes_per_day } = this.#config;
    if (records_per_day !== undefined || bytes_per_day !== undefined) {
      const { records, bytes, endsIn } = this.#today(tenant);
      if (records >= (records_per_day ?? Infinity))
        throw exhausted("records_per_day", records_per_day!, endsIn);
      if (bytes >= (bytes_per_day ?? Infinity)) throw exhausted("bytes_per_day", bytes_per_day!, endsIn);
    }
    this.#pass(tenant, ["records", "bytes", "ingest"], now);
    this.#bucket(tenant, "ingest", now)?.take(1);
  }

  /**
   * Counts a request that asks.
   * @throws {ExportError} as `admitIngest`.
   */
  admitQuery(tenant: string): void {
    const now = this.#now();
    this.#pass(tenant, ["queries"], now);
    this.#bucket(tenant, "queries", now)?.take(1);
  }

  charge(tenant: string, cost: { records?: number; bytes?: number }): void {
    const now = this.#now();
    if (cost.records) this.#bucket(tenant, "records", now)?.take(cost.records);
    if (cost.bytes) this.#bucket(tenant, "bytes", now)?.take(cost.bytes);
  }

  /** Buckets that were looked at since the last call. */
  takeAsked(): NamedBucket[] {
    const asked = [...(this.#asked ?? [])];
    this.#asked?.clear();
    return asked;
  }

  #pass(tenant: string, rated: readonly Rated[], now: number): void {
    for (const name of rated) {
      const wait = this.#bucket(tenant, name, now)?.wait(now) ?? 0;
      if (wait > 0) throw exhausted(keyOf[name], this.#config[keyOf[name]]!, wait);
    }
  }

  #bucket(tenant: string, name: Rated, now: number): Bucket | undefined {
    const rate = this.#config[keyOf[name]];
    if (rate === undefined) return undefined;
    let own = this.#buckets.get(tenant);
    if (own === undefined) {
      if (this.#buckets.size >= maxTenants) this.#makeRoom(now);
      own = {};
      this.#buckets.set(tenant, own);
    }
    own[name] ??= { tenant, name, bucket: new Bucket(rate, now) };
    this.#asked?.add(own[name]);
    return own[name].bucket;
  }

  /** Full buckets are as good as new ones; where all are in use, the oldest goes. */
  #makeRoom(now: number): void {
    for (const [tenant, own] of this.#buckets) {
      if (Object.values(own).every(({ bucket }) => bucket.isFull(now))) this.#buckets.delete(tenant);
    }
    const [oldest] = this.#buckets.keys();
    if (this.#buckets.size >= maxTenants) this.#buckets.delete(oldest!);
  }
}

const keyOf = {
  ingest: "requests_per_second",
  queries: "requests_per_second",
  records: "records_per_second",
  bytes: "bytes_per_second",
} as const satisfies Record<Rated, keyof LimitsConfig>;

function exhausted(key: keyof LimitsConfig, limit: number, waitMs: number): ExportError {
  return new ExportError(
    Code.RESOURCE_EXHAUSTED,
    `the tenant is beyond limits.${key} (${limit}); come back later`,
    Math.ceil(waitMs),
  );
}
