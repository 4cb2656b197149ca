/** Bundles made from a real store. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll } from "vitest";
import { type Config, configSchema } from "../../src/config/schema.ts";
import { Composer, type ComposerOptions } from "../../src/evidence/composer.ts";
import { EvidenceMaker } from "../../src/evidence/maker.ts";
import { EvidenceQueue, type QueueOptions } from "../../src/evidence/queue.ts";
import { SigningKeys } from "../../src/evidence/signing-keys.ts";
import { TimeStamper } from "../../src/evidence/time-stamper.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { id, incident, midnight, options, report, versions } from "../store/fixtures.ts";

const undo: (() => unknown)[] = [];
afterAll(async () => {
  for (const each of undo.reverse()) await each();
});

export function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "driftlock-evidence-"));
  undo.push(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

export interface Making {
  config: Config;
  store: Store;
  keys: SigningKeys;
  queue: EvidenceQueue;
  /** Makes a bundle and resolves to its file. */
  make(subject: Parameters<EvidenceQueue["create"]>[1]): Promise<string>;
}

export async function making(
  evidence: object = {},
  { privacy, ...more }: Partial<ComposerOptions> & Pick<QueueOptions, "privacy"> = {},
  { log = pino({ enabled: false }), store: storeInput = {} } = {},
): Promise<Making> {
  const config = configSchema.parse({ data_dir: folder(), evidence, store: storeInput });
  const store = await openStore(config, options());
  undo.push(() => store.close());
  const keys = new SigningKeys(config);
  const stamper = TimeStamper.of(config.evidence.timestamps, log);
  const composer = new Composer({ config, store, keys, versions, stamper, snapshotFormat: 9, ...more });
  const { make } = new EvidenceMaker({ config, store, composer });
  const queue = new EvidenceQueue({ make, ...(privacy && { privacy }) });
  return {
    config,
    store,
    keys,
    queue,
    async make(subject) {
      const { id } = (await queue.create("acme", subject, "ann"))!;
      return Buffer.from((await store.evidence.bytes("acme", id))!).toString();
    },
  };
}

/** Stores an anomaly with three reports and two judgements, and an incident of two anomalies. */
export async function fill({ store }: Making): Promise<void> {
  const more = { occurrence: 4n, score: 50, margin: 300, record: { text: "connection refused by peer" } };
  const last = { occurrence: 8n, record: { text: "connection timed out" } };
  const member = { id: id(11), startTimeUnixNano: midnight + 5n };
  await store.anomalies.record([report(), report(more), report(last), report(member)]);
  await store.incidents.record({ incidents: [incident()], changes: [] });
  await store.anomalies.patch("acme", id(1), { state: "acknowledged", author: "bo", note: "looking" });
  await store.anomalies.patch("acme", id(11), { state: "acknowledged", author: "bo" });
  await store.anomalies.patch("acme", id(1), { state: "resolved", author: "bo" });
  await store.incidents.patch("acme", id(1), { state: "resolved", author: "cy", note: "a restart" });
}
