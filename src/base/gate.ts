import { type Owner, Shares } from "./shares.ts";
import { Turns } from "./turns.ts";

interface Waiter {
  tenant: string;
  peer: string;
  enter(): void;
}

/**
 * Admits a few requests at a time, such as to the store, in turn by tenant and by sender: however many requests one caller sends,
 * others wait only for a few of them.
 */
export class Gate {
  readonly #turns = new Turns<Waiter>();
  readonly #inside: Shares;
  #free: number;

  /**
   * @param atOnce the number of requests that are admitted at once
   * @param inside the number of requests that are admitted or wait
   */
  constructor(atOnce: number, inside: number) {
    this.#free = atOnce;
    this.#inside = new Shares(inside);
  }

  /** The number of requests that wait. */
  get waiting(): number {
    return this.#turns.size;
  }

  /**
   * Resolves to a function that admits the next request when it is the owner's turn, and to undefined if too many
   * requests wait.
   * @throws the signal's reason once the caller has gone.
   */
  async enter(owner: Owner & { tenant: string }, gone: AbortSignal): Promise<(() => void) | undefined> {
    if (this.#inside.room(owner) < 1) return undefined;
    this.#inside.take(owner, 1);
    try {
      if (this.#free > 0) this.#free -= 1;
      else await this.#turn(owner, gone);
    } catch (error) {
      this.#inside.take(owner, -1);
      throw error;
    }
    return () => {
      this.#inside.take(owner, -1);
      const next = this.#turns.next();
      if (next === undefined) this.#free += 1;
      else next.enter();
    };
  }

  async #turn({ tenant, peer }: Owner & { tenant: string }, gone: AbortSignal): Promise<void> {
    gone.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { tenant, peer, enter: resolve };
    const leave = () => {
      this.#turns.remove(waiter);
      reject(gone.reason);
    };
    gone.addEventListener("abort", leave, { once: true });
    this.#turns.add(waiter);
    await promise;
    gone.removeEventListener("abort", leave);
  }
}
