/** Remembers rows that identify callers, so that most requests need no query, and none fails while the database is away for minutes. */
import { isUnavailable } from "./database/errors.ts";

/** How long a row is cached. Changes by other processes take effect after it. */
const freshMs = 10_000;
/** How long a row is cached while the database is unavailable. */
const staleMs = 300_000;
const maxKnown = 10_000;

export class ReadCache<T> {
  readonly #elapsed: () => number;
  readonly #read: (id: string) => Promise<T | undefined>;
  /** The rows, and when they were read on the monotonic clock. */
  readonly #known = new Map<string, { row: T; at: number }>();

  /** @param read reads a row that exists */
  constructor(elapsed: () => number, read: (id: string) => Promise<T | undefined>) {
    this.#elapsed = elapsed;
    this.#read = read;
  }

  /** @throws {StoreUnavailable} and similar errors while the database is unavailable, except for rows of the last minutes. */
  async get(id: string): Promise<T | undefined> {
    const now = this.#elapsed();
    const known = this.#known.get(id);
    if (known !== undefined && now - known.at < freshMs) return known.row;
    try {
      const row = await this.#read(id);
      this.#known.delete(id);
      if (row === undefined) return undefined;
      this.#known.set(id, { row, at: now });
      if (this.#known.size > maxKnown) this.#known.delete(this.#known.keys().next().value!);
      return row;
    } catch (error) {
      if (known !== undefined && now - known.at < staleMs && isUnavailable(error)) return known.row;
      throw error;
    }
  }

  /** Lets the next call read the row again. */
  forget(id: string): void {
    this.#known.delete(id);
  }
}
