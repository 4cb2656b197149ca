interface Waiter {
  readonly tenant: string;
  readonly peer: string;
}

/** Waiters for the same resource. Turns rotate among the tenants, and among the peers of each tenant. */
export class Turns<T extends Waiter> {
  /** The waiters; the next tenant and the next peer come first in their maps. */
  readonly #tenants = new Map<string, Map<string, Set<T>>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(waiter: T): void {
    const { tenant, peer } = waiter;
    const peers = this.#tenants.get(tenant) ?? new Map<string, Set<T>>();
    const waiters = peers.get(peer) ?? new Set<T>();
    this.#tenants.set(tenant, peers.set(peer, waiters.add(waiter)));
    this.#size += 1;
  }

  /** Removes a waiter, if it waits. */
  remove(waiter: T): void {
    const { tenant, peer } = waiter;
    const peers = this.#tenants.get(tenant);
    const waiters = peers?.get(peer);
    if (peers === undefined || !waiters?.delete(waiter)) return;
    this.#size -= 1;
    if (waiters.size === 0) peers.delete(peer);
    if (peers.size === 0) this.#tenants.delete(tenant);
  }

  /** Removes the waiter whose turn it is and returns it. */
  next(): T | undefined {
    for (const [tenant, peers] of this.#tenants) {
      for (const [peer, waiters] of peers) {
        for (const waiter of waiters) {
          this.remove(waiter);
          if (waiters.size > 0) toEnd(peers, peer, waiters);
          if (peers.size > 0) toEnd(this.#tenants, tenant, peers);
          return waiter;
        }
      }
    }
    return undefined;
  }
}

function toEnd<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
}
