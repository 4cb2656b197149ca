/** Driftlock as a transport of winston. */
import { asText } from "./as-text.ts";
import "../base/require-node.ts";
import { Writable } from "node:stream";
import type { Driftlock } from "./driftlock.ts";
import { sharedDriftlock } from "./shared.ts";

export { Driftlock } from "./driftlock.ts";
export { sharedDriftlock } from "./shared.ts";

/** Where winston keeps the level of a record, which formats may change elsewhere. */
const levelName = Symbol.for("level");

/** Options of the transport. */
export interface DriftlockTransportOptions {
  /** The instance that judges; by default one that all parts of the SDK share. */
  driftlock?: Driftlock;
  /** The lowest level that is judged; that of the logger by default. */
  level?: string;
}

/** What a transport needs of its logger. */
interface Logger {
  readonly levels: { readonly [level: string]: number };
  readonly level: string;
}

/** A transport of winston 3 that lets Driftlock judge what the logger logs. */
export class DriftlockTransport extends Writable {
  readonly #driftlock: Driftlock;
  #logger: Logger | undefined;
  /** The lowest level that is judged; that of the logger if it is undefined. */
  level: string | undefined;

  /** @param options which instance judges, and what */
  constructor({ driftlock = sharedDriftlock(), level }: DriftlockTransportOptions = {}) {
    super({
      objectMode: true,
      write: (info, _, next) => this.log(info, next),
      final: (next) => void driftlock.flush().then(() => next()),
    });
    this.#driftlock = driftlock;
    this.level = level;
    // The logger passes everything on to its transports, which know their levels.
    this.once("pipe", (logger) => {
      this.#logger = logger as unknown as Logger;
    });
  }

  /** Takes what is logged. winston calls it. */
  log(info: { [name: string | symbol]: unknown }, next: () => void): void {
    if (this.#isBelow(asText(info[levelName]))) {
      next();
      return;
    }
    const { level, message, timestamp, ...attributes } = info;
    const { stack } = info;
    const time = typeof timestamp === "string" ? Date.parse(timestamp) : Number.NaN;
    this.#driftlock.logs.push({
      body: message,
      severity: asText(level),
      // That of an error is not enumerable.
      attributes: typeof stack === "string" ? { ...attributes, stack } : attributes,
      ...(time >= 0 && { time }),
    });
    next();
  }

  #isBelow(level: string): boolean {
    if (this.#logger === undefined) return false;
    const { levels, level: usual } = this.#logger;
    return (levels[level] ?? 0) > (levels[this.level ?? usual] ?? Number.POSITIVE_INFINITY);
  }
}
