/** How many times the free part one sender may hold, and all senders of one tenant together. */
const perSender = 7;
const perTenant = 15;

/** The holder of a part of something limited. A sender has no tenant before it is authenticated. */
export interface Owner {
  /** The result of `peerOf`. */
  peer: string;
  tenant: string | undefined;
}

/**
 * Shares out something limited so that nobody can take all of it. A sender, which is an address within a tenant, may hold at
 * most seven times what is free, and a tenant fifteen times. So a single sender gets seven eighths, two get seven fifteenths
 * each, and something is always left for the next one.
 */
export class Shares {
  readonly limit: number;
  #used = 0;
  readonly #bySender = new Map<string, number>();
  readonly #byTenant = new Map<string, number>();

  constructor(limit: number) {
    this.limit = limit;
  }

  get used(): number {
    return this.#used;
  }

  /** Returns what the owner holds as a sender. */
  held(owner: Owner): number {
    return this.#bySender.get(senderKey(owner)) ?? 0;
  }

  /** Returns how much more `owner` may take now. */
  room(owner: Owner): number {
    const free = this.limit - this.#used;
    let room = share(perSender, free, this.held(owner));
    if (owner.tenant !== undefined) {
      room = Math.min(room, share(perTenant, free, this.#byTenant.get(owner.tenant) ?? 0));
    }
    return Math.max(0, Math.min(room, free));
  }

  /** Takes `amount`, or returns it if it is negative. */
  take(owner: Owner, amount: number): void {
    if (amount === 0) return;
    this.#used += amount;
    add(this.#bySender, senderKey(owner), amount);
    if (owner.tenant !== undefined) add(this.#byTenant, owner.tenant, amount);
  }
}

/** Returns the most that may be added to `held` so that it stays within `times` what is free afterwards. */
function share(times: number, free: number, held: number): number {
  return Math.ceil((times * free - held) / (times + 1));
}

function senderKey({ peer, tenant }: Owner): string {
  return tenant === undefined ? peer : `${peer} ${tenant}`;
}

function add(amounts: Map<string, number>, key: string, amount: number): void {
  const sum = (amounts.get(key) ?? 0) + amount;
  if (sum === 0) amounts.delete(key);
  else amounts.set(key, sum);
}
