/** Makes signed bundles of evidence and stores them. */
import { Gate } from "../base/gate.ts";
import type { Config } from "../config/schema.ts";
import type { Store, StoredBundle } from "../store/index.ts";
import type { BundleContent } from "./bundle.ts";
import type { Asked, Composed, Subject } from "./composer.ts";
import { EvidenceRefused } from "./refused.ts";

export interface MakerOptions {
  config: Pick<Config, "evidence">;
  store: Pick<Store, "auditTree" | "evidence">;
  /** Collects what a bundle contains, and signs it, as `Composer.compose` does. */
  compose(asked: Asked): Promise<Composed | undefined>;
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

export class EvidenceMaker {
  readonly #options: MakerOptions;
  /** Bundles are made one after another, so that they leave time for everything else. */
  readonly #gate = new Gate(1, maxAsked);

  constructor(options: MakerOptions) {
    this.#options = options;
  }

  /**
   * Makes and stores a bundle. Undefined if the tenant has no such anomaly or incident.
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
      const made = await this.#create(tenant, subject, author, note);
      pause = pauseAfter(performance.now() - start, this.#gate.waiting);
      return made;
    } finally {
      setTimeout(leave, pause);
    }
  }

  async #create(
    tenant: string,
    subject: Subject,
    author: string,
    note: string,
  ): Promise<StoredBundle | undefined> {
    const { config, store, compose, privacy } = this.#options;
    if ((await store.evidence.size(tenant)) >= config.evidence.max_size) {
      throw new EvidenceRefused(
        "the tenant's bundles have reached evidence.max_size; raise it, or delete some",
        false,
      );
    }
    // Whatever composes has only to read then: it may be slow, and nobody should wait until it has written.
    await store.auditTree.grow(tenant);
    const composed = await compose({ tenant, subject, author, privacy: privacy?.(tenant) ?? null });
    if (composed === undefined) return undefined;
    const { id, bytes, checkpoint } = composed;
    const stored = await store.evidence.add(tenant, {
      id,
      author,
      ...("anomaly" in subject ? { anomalyId: subject.anomaly } : { incidentId: subject.incident }),
      note,
      bytes,
    });
    await store.auditTree.keepCheckpoint(tenant, checkpoint.size, checkpoint.note);
    return stored;
  }
}
