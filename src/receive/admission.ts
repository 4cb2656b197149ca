import { peerOf } from "../base/peer.ts";
import { type Owner, Shares } from "../base/shares.ts";
import type { ReceiveConfig } from "../config/schema.ts";
import { Code, ExportError } from "../otlp/protocol.ts";
import { Arrivals, BodyCut, retryAfterMs } from "./arrivals.ts";
import type { CutReason } from "./hooks.ts";

/**
 * Limits the requests in progress and the bytes that they hold, of both protocols together. What exceeds a limit is refused at
 * once and never waits, unless a request whose body has stalled makes room for it.
 */
export class Admission {
  readonly #requests: Shares;
  readonly #bytes: Shares;
  readonly #arrivals = new Arrivals<Permit>();
  readonly #onCut: (reason: CutReason) => void;
  readonly #onIdle: (() => void)[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(limits: ReceiveConfig["limits"], onCut: (reason: CutReason) => void) {
    this.#requests = new Shares(limits.max_concurrent_requests);
    this.#bytes = new Shares(limits.max_inflight_size);
    this.#onCut = onCut;
  }

  get requests(): number {
    return this.#requests.used;
  }

  get bytes(): number {
    return this.#bytes.used;
  }

  /** Resolves when no request is in work. */
  async idle(): Promise<void> {
    if (this.requests > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /**
   * @param address of the sender.
   * @throws {ExportError} UNAVAILABLE, to be tried again, when too many requests are in work.
   */
  admit(address: string | undefined): Permit {
    const owner: Owner = { peer: peerOf(address), tenant: undefined };
    this.#enter(owner);
    return new Permit(this, owner);
  }

  /** Called once per second. Aborts requests whose bodies arrive too slowly. */
  tick(): void {
    for (const permit of this.#arrivals.tick()) this.#cut(permit, "slow");
  }

  #enter(owner: Owner): void {
    while (this.#requests.room(owner) < 1) {
      if (this.#makeRoom(this.#requests, owner)) continue;
      const { used, limit } = this.#requests;
      const most = used < limit ? "as many as this sender may have of what" : "the most that";
      throw new ExportError(
        Code.UNAVAILABLE,
        `overloaded: ${used} requests in work, ${most} receive.limits.max_concurrent_requests (${limit}) allows`,
        retryAfterMs,
      );
    }
    this.#requests.take(owner, 1);
  }

  /** Cuts a request whose body has stalled, of this sender or of one that holds as much; false if there is none. */
  #makeRoom(shares: Shares, owner: Owner, except?: Permit): boolean {
    const held = shares.held(owner);
    const stalled = this.#arrivals.stalled(
      (permit) => permit !== except && shares.held(permit.owner) >= held,
    );
    if (stalled === undefined) return false;
    this.#cut(stalled, "stalled");
    return true;
  }

  #cut(permit: Permit, reason: CutReason): void {
    this.#arrivals.end(permit, () => new BodyCut(reason));
    permit.release();
    this.#onCut(reason);
  }

  // What follows is for permits alone.

  /** Counts all that the permit holds against another owner. */
  move(permit: Permit, to: Owner): void {
    const { owner, held } = permit;
    this.#bytes.take(owner, -held);
    this.#requests.take(owner, -1);
    let entered = false;
    try {
      this.#enter(to);
      entered = true;
      this.#hold(permit, to, 0, held);
    } catch (error) {
      if (entered) this.#requests.take(to, -1);
      this.#requests.take(owner, 1);
      this.#bytes.take(owner, held);
      throw error;
    }
  }

  headroom({ owner, held }: Permit): number {
    return this.#headroom(owner, held);
  }

  exchange(permit: Permit, wanted: number): void {
    this.#hold(permit, permit.owner, permit.held, wanted);
  }

  #hold(permit: Permit, owner: Owner, held: number, wanted: number): void {
    const { limit } = this.#bytes;
    if (wanted > held && wanted > limit) {
      throw new ExportError(
        Code.RESOURCE_EXHAUSTED,
        `the request needs ${wanted} bytes of memory, more than receive.limits.max_inflight_size (${limit}); send smaller requests`,
      );
    }
    while (wanted > held && wanted > this.#headroom(owner, held)) {
      if (this.#makeRoom(this.#bytes, owner, permit)) continue;
      throw new ExportError(
        Code.UNAVAILABLE,
        `overloaded: requests in work hold ${this.bytes} bytes of receive.limits.max_inflight_size (${limit}), which leaves too few for this request`,
        retryAfterMs,
      );
    }
    this.#bytes.take(owner, wanted - held);
  }

  /** Counts bytes that are there already, so that the limit may be exceeded: later requests then find no room. */
  add(permit: Permit, bytes: number): void {
    this.#bytes.take(permit.owner, bytes);
  }

  /** A request that is alone may use all of the limit. */
  #headroom(owner: Owner, held: number): number {
    const { used, limit } = this.#bytes;
    return used === held ? limit : held + this.#bytes.room(owner);
  }

  begin(permit: Permit, cut: (error: ExportError) => void): void {
    this.#arrivals.begin(permit, cut);
    this.#timer ??= setInterval(() => this.tick(), 1_000).unref();
  }

  progress(permit: Permit, bytes: number): void {
    this.#arrivals.progress(permit, bytes);
  }

  end(permit: Permit): void {
    this.#arrivals.end(permit);
  }

  leave(permit: Permit): void {
    this.#arrivals.end(permit, givenUp);
    this.#requests.take(permit.owner, -1);
    this.#bytes.take(permit.owner, -permit.held);
    if (this.requests > 0) return;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}

function givenUp(): ExportError {
  return new ExportError(Code.CANCELLED, "the request was given up");
}

/** The place of one request, which holds a number of bytes until it is released. */
export class Permit {
  readonly #admission: Admission;
  #owner: Owner;
  #held = 0;
  #released = false;

  constructor(admission: Admission, owner: Owner) {
    this.#admission = admission;
    this.#owner = owner;
  }

  get owner(): Owner {
    return this.#owner;
  }

  get held(): number {
    return this.#held;
  }

  /** The most bytes that `hold` would grant now. */
  get headroom(): number {
    return this.#admission.headroom(this);
  }

  /**
   * Counts what the permit holds against the tenant from now on.
   * @throws {ExportError} UNAVAILABLE when the tenant has its share already.
   */
  assign(tenant: string): void {
    if (this.#released) return;
    const owner = { peer: this.#owner.peer, tenant };
    this.#admission.move(this, owner);
    this.#owner = owner;
  }

  /**
   * The body begins to arrive. It has to keep coming, as `progress` reports, until `arrived`.
   * @param cut is called at most once, with the reason, when it comes too slowly or the permit is released.
   */
  arriving(cut: (error: ExportError) => void): void {
    if (this.#released) cut(givenUp());
    else this.#admission.begin(this, cut);
  }

  progress(bytes: number): void {
    this.#admission.progress(this, bytes);
  }

  arrived(): void {
    this.#admission.end(this);
  }

  /**
   * Changes the total of bytes that are held.
   * @throws {ExportError} UNAVAILABLE when there is no room now, RESOURCE_EXHAUSTED when there never is.
   */
  hold(bytes: number): void {
    if (this.#released) return;
    this.#admission.exchange(this, bytes);
    this.#held = bytes;
  }

  /** Counts bytes that another part of the process holds for the request, even if there is no room for them. */
  add(bytes: number): void {
    if (this.#released) return;
    this.#admission.add(this, bytes);
    this.#held += bytes;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    this.#admission.leave(this);
  }
}
