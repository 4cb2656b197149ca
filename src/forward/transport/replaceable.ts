/** A connection that may be replaced while it is used: the one before closes when its last user is done. */
export class Replaceable<T> {
  readonly #close: (resource: T) => void;
  #current: { resource: T; users: number };

  constructor(first: T, close: (resource: T) => void) {
    this.#current = { resource: first, users: 0 };
    this.#close = close;
  }

  get current(): T {
    return this.#current.resource;
  }

  async use<R>(work: (resource: T) => Promise<R>): Promise<R> {
    const held = this.#current;
    held.users++;
    try {
      return await work(held.resource);
    } finally {
      held.users--;
      if (held !== this.#current && held.users === 0) this.#close(held.resource);
    }
  }

  /** `expected` set: only where that one is still the current one. */
  replace(create: () => T, expected?: T): void {
    const former = this.#current;
    if (expected !== undefined && former.resource !== expected) return;
    this.#current = { resource: create(), users: 0 };
    if (former.users === 0) this.#close(former.resource);
  }

  close(): void {
    this.#close(this.#current.resource);
  }
}
