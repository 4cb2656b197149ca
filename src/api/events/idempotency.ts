/**
 * Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a request that is sent again is answered as the first
 * time, and does nothing. Kept in memory, of this process.
 */

/** For so long a key is known. */
const rememberMs = 3_600_000;
const maxKeys = 10_000;
const maxSize = 16 * 2 ** 20;
/** What a key takes beside its answer. */
const keySize = 300;

interface Known {
  /** Of the body. */
  fingerprint: string;
  until: number;
  size: number;
  /** JSON; undefined while the first request is in work. */
  answer: string | undefined;
}

export type Claim =
  /** The request is the first with its key: `keep` its answer, or `free` the key. */
  | { kind: "first"; keep(answer: unknown): void; free(): void }
  | { kind: "again"; answer: unknown }
  | { kind: "in work" }
  | { kind: "other body" };

export class IdempotencyKeys {
  readonly #known = new Map<string, Known>();
  #size = 0;

  /** @param now milliseconds of any clock */
  claim(tenant: string, key: string, fingerprint: string, now: number): Claim {
    const name = `${tenant}\0${key}`;
    const known = this.#known.get(name);
    if (known !== undefined && known.until > now) {
      if (known.fingerprint !== fingerprint) return { kind: "other body" };
      if (known.answer === undefined) return { kind: "in work" };
      return { kind: "again", answer: JSON.parse(known.answer) };
    }
    this.#free(name);
    const claimed: Known = {
      fingerprint,
      until: now + rememberMs,
      size: keySize + name.length,
      answer: undefined,
    };
    this.#known.set(name, claimed);
    this.#size += claimed.size;
    this.#makeRoom();
    const isOurs = () => this.#known.get(name) === claimed;
    return {
      kind: "first",
      keep: (answer) => {
        if (!isOurs()) return;
        claimed.answer = JSON.stringify(answer);
        claimed.size += claimed.answer.length;
        this.#size += claimed.answer.length;
        this.#makeRoom();
      },
      free: () => {
        if (isOurs()) this.#free(name);
      },
    };
  }

  #free(name: string): void {
    const known = this.#known.get(name);
    if (known === undefined) return;
    this.#size -= known.size;
    this.#known.delete(name);
  }

  /** The oldest go first. */
  #makeRoom(): void {
    for (const name of this.#known.keys()) {
      if (this.#known.size <= maxKeys && this.#size <= maxSize) return;
      this.#free(name);
    }
  }
}
