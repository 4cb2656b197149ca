/** Makes signed bundles of evidence and stores them. */
import type { Config } from "../config/schema.ts";
import type { Store, StoredBundle } from "../store/index.ts";
import type { Asked, Composer } from "./composer.ts";
import { EvidenceRefused } from "./refused.ts";

export interface MakerOptions {
  config: Pick<Config, "evidence">;
  store: Pick<Store, "auditTree" | "evidence">;
  composer: Pick<Composer, "compose">;
}

/** A bundle that is to be made. */
export interface Order extends Asked {
  /** Why it is made, for the audit log. */
  note: string;
}

export class EvidenceMaker {
  readonly #options: MakerOptions;

  constructor(options: MakerOptions) {
    this.#options = options;
  }

  /**
   * Resolves to undefined if the tenant has no such anomaly or incident.
   * @throws {EvidenceRefused}
   */
  readonly make = async ({ note, ...asked }: Order): Promise<StoredBundle | undefined> => {
    const { config, store, composer } = this.#options;
    const { tenant, subject, author } = asked;
    if ((await store.evidence.size(tenant)) >= config.evidence.max_size) {
      throw new EvidenceRefused(
        "the tenant's bundles have reached evidence.max_size; raise it, or delete some",
        false,
      );
    }
    const composed = await composer.compose(asked);
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
  };
}
