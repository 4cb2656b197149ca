/**
 * Limits what each tenant may send and request: rates by token buckets, and quotas by the day. Decisions are made from
 * memory.
 */
import type { TenantLimits } from "../config/schema.ts";
import { Code, ExportError } from "../otlp/protocol.ts";
import { Bucket } from "./bucket.ts";

/** Maximum number of tenants with buckets. Full buckets need not be kept. */
const maxTenants = 10_000;

/** What is limited per second. */
type Rated = "ingest" | "queries" | "records" | "bytes";

export interface NamedBucket {
  tenant: string;
  name: Rated;
  bucket: Bucket;
}

/** What a tenant has sent since midnight UTC, as far as it is known, and the milliseconds until the day ends. */
export type Today = (tenant: string) => { records: number; bytes: number; endsIn: number };

/** What limits a tenant at present. */
export type LimitsOf = (tenant: string) => TenantLimits;

export class Limiter {
  readonly #limitsOf: LimitsOf;
  readonly #today: Today;
  readonly #now: () => number;
  readonly #buckets = new Map<string, Partial<Record<Rated, NamedBucket>>>();
  /** Buckets that were used since the last `takeUsed`; undefined unless limits are shared. */
  readonly #used: Set<NamedBucket> | undefined;

  /**
   * @param shared whether what is taken is exchanged with other processes
   * @param now milliseconds of a monotonic clock: if the machine's clock were used, setting it back would reject
   * everyone.
   */
  constructor(
    limitsOf: LimitsOf,
    today: Today,
    { shared = false, now = () => performance.now() }: { shared?: boolean; now?: () => number } = {},
  ) {
    this.#limitsOf = limitsOf;
    this.#today = today;
    this.#now = now;
    this.#used = shared ? new Set() : undefined;
  }

  /**
   * Counts a request that sends records.
   * @throws {ExportError} RESOURCE_EXHAUSTED with the time to wait if the tenant exceeds a rate or quota.
   */
  admitIngest(tenant: string): void {
    const now = this.#now();
    const { records_per_day, bytes_per_day } = this.#limitsOf(tenant);
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
   * Counts a request of an API client.
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

  /** Returns the buckets that were used since the last call. */
  takeUsed(): NamedBucket[] {
    const used = [...(this.#used ?? [])];
    this.#used?.clear();
    return used;
  }

  #pass(tenant: string, rated: readonly Rated[], now: number): void {
    for (const name of rated) {
      const wait = this.#bucket(tenant, name, now)?.wait(now) ?? 0;
      if (wait > 0) throw exhausted(keyOf[name], this.#limitsOf(tenant)[keyOf[name]]!, wait);
    }
  }

  #bucket(tenant: string, name: Rated, now: number): Bucket | undefined {
    const rate = this.#limitsOf(tenant)[keyOf[name]];
    if (rate === undefined) return undefined;
    let own = this.#buckets.get(tenant);
    if (own === undefined) {
      if (this.#buckets.size >= maxTenants) this.#makeRoom(now);
      own = {};
      this.#buckets.set(tenant, own);
    }
    // A tenant that has got other limits begins with a full bucket.
    if (own[name]?.bucket.rate !== rate) own[name] = { tenant, name, bucket: new Bucket(rate, now) };
    this.#used?.add(own[name]);
    return own[name].bucket;
  }

  /** Removes full buckets, which are equivalent to new ones; if there are none, removes the oldest. */
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
} as const satisfies Record<Rated, keyof TenantLimits>;

function exhausted(key: keyof TenantLimits, limit: number, waitMs: number): ExportError {
  return new ExportError(
    Code.RESOURCE_EXHAUSTED,
    `the tenant exceeds limits.${key} (${limit}); try again later`,
    Math.ceil(waitMs),
  );
}
