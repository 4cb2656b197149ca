/**
 * Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a request that is sent again receives the answer of the
 * first one and has no effect.
 */

/** How long a key is kept. */
export const rememberMs = 3_600_000;
/** Maximum size of the keys of all tenants together. */
const maxSize = 16 * 2 ** 20;
/** The size of a key besides its answer. */
const keySize = 300;

interface Known {
  /** The hash of the body. */
  fingerprint: string;
  until: number;
  size: number;
  /** The answer as JSON; undefined while the first request is in progress. */
  answer: string | undefined;
}

/** The keys of a tenant, oldest first. */
interface TenantKeys {
  keys: Map<string, Known>;
  size: number;
}

export type Claim =
  /** The request is the first with its key: `keep` its answer, or `free` the key. Neither fails. */
  | { kind: "first"; keep(answer: unknown): Promise<void>; free(): Promise<void> }
  | { kind: "again"; answer: unknown }
  | { kind: "in work" }
  | { kind: "other body" };

export interface IdempotencyKeys {
  /** @param fingerprint the hash of the request's body */
  claim(tenant: string, key: string, fingerprint: string): Promise<Claim>;
  close(): Promise<void>;
}

/** Keeps keys in the memory of this process. */
export class OwnKeys implements IdempotencyKeys {
  readonly #now: () => number;
  readonly #tenants = new Map<string, TenantKeys>();
  #size = 0;

  /** @param now returns milliseconds by a monotonic clock */
  constructor(now = () => performance.now()) {
    this.#now = now;
  }

  async close(): Promise<void> {}

  async claim(tenant: string, key: string, fingerprint: string): Promise<Claim> {
    const now = this.#now();
    const known = this.#tenants.get(tenant)?.keys.get(key);
    if (known !== undefined && known.until > now) {
      if (known.fingerprint !== fingerprint) return { kind: "other body" };
      if (known.answer === undefined) return { kind: "in work" };
      return { kind: "again", answer: JSON.parse(known.answer) };
    }
    this.#free(tenant, key);
    const claimed: Known = { fingerprint, until: now + rememberMs, size: 0, answer: undefined };
    const held = this.#tenants.get(tenant) ?? { keys: new Map(), size: 0 };
    this.#tenants.set(tenant, held);
    held.keys.set(key, claimed);
    this.#grow(held, claimed, keySize + key.length);
    const isOurs = () => this.#tenants.get(tenant)?.keys.get(key) === claimed;
    return {
      kind: "first",
      keep: async (answer) => {
        if (!isOurs()) return;
        claimed.answer = JSON.stringify(answer);
        this.#grow(held, claimed, claimed.answer.length);
      },
      free: async () => {
        if (isOurs()) this.#free(tenant, key);
      },
    };
  }

  #grow(held: TenantKeys, known: Known, by: number): void {
    known.size += by;
    held.size += by;
    this.#size += by;
    while (this.#size > maxSize && this.#makeRoom());
  }

  #free(tenant: string, key: string): void {
    const held = this.#tenants.get(tenant);
    const known = held?.keys.get(key);
    if (held === undefined || known === undefined) return;
    held.keys.delete(key);
    held.size -= known.size;
    this.#size -= known.size;
    if (held.keys.size === 0) this.#tenants.delete(tenant);
  }

  /** Removes the oldest key of the tenant with the largest size. Keys of requests in progress are kept. */
  #makeRoom(): boolean {
    let heaviest: [string, TenantKeys] | undefined;
    for (const each of this.#tenants) {
      if (heaviest === undefined || each[1].size > heaviest[1].size) heaviest = each;
    }
    if (heaviest === undefined) return false;
    const [tenant, { keys }] = heaviest;
    for (const [key, { answer }] of keys) {
      if (answer === undefined) continue;
      this.#free(tenant, key);
      return true;
    }
    return false;
  }
}
