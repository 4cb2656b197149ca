import { lookup } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import type { BaseLogger } from "pino";

/** How the downstream's name becomes addresses. */
export interface Names {
  lookup: LookupFunction;
  /** How often the name of connections that last is looked up again, milliseconds. */
  recheckMs: number;
}

/** The system's resolver; as often as gRPC's clients ask at the most. */
export const systemNames: Names = { lookup, recheckMs: 30_000 };

/** A URL's host as sockets take it: without an IPv6 address's brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[|\]$/g, "");
}

/**
 * A new connection looks its name up by itself; one that lasts would stay where the name once was, also after a move that
 * leaves the former place running. This looks again from time to time, and says when a connection goes to an address that
 * the name no longer has. A name that does not resolve for the moment moves nothing.
 */
export class NameWatch {
  readonly #host: string;
  readonly #names: Names;
  readonly #connected: () => readonly (string | undefined)[];
  readonly #timer: NodeJS.Timeout | undefined;
  #asking = false;
  #stopped = false;

  /** @param connected the addresses to which there are connections that later requests would take. */
  constructor(
    host: string,
    names: Names,
    log: BaseLogger,
    connected: () => readonly (string | undefined)[],
    onMoved: () => void,
  ) {
    this.#host = host;
    this.#names = names;
    this.#connected = connected;
    if (isIP(host)) return;
    this.#timer = setInterval(() => this.#ask(log, onMoved), names.recheckMs).unref();
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
  }

  #ask(log: BaseLogger, onMoved: () => void): void {
    if (this.#asking || this.#connected().length === 0) return;
    this.#asking = true;
    this.#names.lookup(this.#host, { all: true }, (error, found) => {
      this.#asking = false;
      if (error || this.#stopped || !Array.isArray(found) || found.length === 0) return;
      const addresses = found.map(({ address }) => address);
      const left = this.#connected().filter((address) => address && !addresses.includes(address));
      if (left.length === 0) return;
      log.info(
        { host: this.#host, addresses, left },
        "forward: the downstream's name has new addresses; later requests use them",
      );
      onMoved();
    });
  }
}
