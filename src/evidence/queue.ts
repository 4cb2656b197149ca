/** Lets bundles of evidence be made one after another, in turn by author, and with pauses. */
import { Gate } from "../base/gate.ts";
import type { StoredBundle } from "../store/index.ts";
import type { BundleContent } from "./bundle.ts";
import type { Subject } from "./composer.ts";
import type { EvidenceMaker } from "./maker.ts";
import { EvidenceRefused } from "./refused.ts";

export interface QueueOptions {
  /** Makes a bundle and stores it, as `EvidenceMaker.make` does. */
  make: EvidenceMaker["make"];
  /** Returns the privacy policy and what it has found. */
  privacy?: (tenant: string) => BundleContent["privacy"];
}

/** The number of bundles that are being made or wait. */
const maxAsked = 1_024;
/** So many bundles are soon made. */
const few = 10;

/**
 * The pause between two bundles if others wait, by how long the first of them took. A few are made for a tenth of the time, and
 * many at one per two seconds at most, so that so few requests for records meet one that their 95th percentile hardly changes.
 */
function pauseAfter(ms: number, waiting: number): number {
  if (waiting === 0) return 0;
  return waiting > few ? 2_000 : Math.min(1_000, 9 * ms);
}

export class EvidenceQueue {
  readonly #options: QueueOptions;
  /** Bundles are made one after another, so that they leave time for everything else. */
  readonly #gate = new Gate(1, maxAsked);

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  /**
   * Has a bundle made and stored when its turn comes. Undefined if the tenant has no such anomaly or incident.
   * @param note says why, for the audit log
   * @param gone says that nobody waits for the bundle any more; it is not made then, unless that has begun
   * @throws {EvidenceRefused}
   * @throws the signal's reason
   */
  async create(
    tenant: string,
    subject: Subject,
    author: string,
    { note = "", gone = new AbortController().signal }: { note?: string; gone?: AbortSignal } = {},
  ): Promise<StoredBundle | undefined> {
    const leave = await this.#gate.enter({ tenant, peer: author }, gone);
    if (leave === undefined) throw new EvidenceRefused("too many bundles are being made", true);
    const start = performance.now();
    let pause = 0;
    try {
      const { make, privacy } = this.#options;
      const made = await make({ tenant, subject, author, note, privacy: privacy?.(tenant) ?? null });
      pause = pauseAfter(performance.now() - start, this.#gate.waiting);
      return made;
    } finally {
      setTimeout(leave, pause);
    }
  }
}
