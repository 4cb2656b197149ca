/** Makes signed bundles of evidence and stores them. */
import { setTimeout as sleep } from "node:timers/promises";
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

const maxWaiting = 1_000;
/**
 * The pause between two bundles if others wait, by how long the first of them took: bundles are made for a fortieth of the
 * time, so that far fewer than one in twenty requests for records meets one, and their 95th percentile hardly changes.
 */
const pauseAfter = (ms: number) => Math.min(2_000, 39 * ms);

export class EvidenceMaker {
  readonly #options: MakerOptions;
  /** Bundles are made one after another, so that they leave time for everything else. */
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(options: MakerOptions) {
    this.#options = options;
  }

  /**
   * Makes and stores a bundle. The note says why, for the audit log. Undefined if the tenant has no such anomaly or incident.
   * @throws {EvidenceRefused}
   */
  async create(
    tenant: string,
    subject: Subject,
    author: string,
    note = "",
  ): Promise<StoredBundle | undefined> {
    if (this.#waiting >= maxWaiting) throw new EvidenceRefused("too many bundles are being made", true);
    this.#waiting += 1;
    let start = 0;
    const made = this.#last.then(() => {
      start = performance.now();
      return this.#create(tenant, subject, author, note);
    });
    this.#last = made.then(
      () => (this.#waiting > 1 ? sleep(pauseAfter(performance.now() - start)) : undefined),
      () => {},
    );
    try {
      return await made;
    } finally {
      this.#waiting -= 1;
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
