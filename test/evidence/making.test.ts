/** Bundles that are made in a thread, from a database of either kind. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, expect, test } from "vitest";
import { type Config, configSchema } from "../../src/config/schema.ts";
import { bundleSchema } from "../../src/evidence/bundle.ts";
import { Composer } from "../../src/evidence/composer.ts";
import { MakingThread } from "../../src/evidence/making.ts";
import { EvidenceRefused } from "../../src/evidence/refused.ts";
import { dutiesBy } from "../../src/evidence/reports/duties.ts";
import { Reporting } from "../../src/evidence/reports/reporting.ts";
import { SigningKeys } from "../../src/evidence/signing-keys.ts";
import {
  headsFile,
  InvalidArgument,
  isUnavailable,
  openStore,
  readHeads,
  type Store,
} from "../../src/store/index.ts";
import { verifyBundle } from "../../src/verify/verify.ts";
import { onEachDatabase } from "../store/databases.ts";
import { id, incident, options, report, versions } from "../store/fixtures.ts";

const undo: (() => unknown)[] = [];
afterAll(async () => {
  for (const each of undo.reverse()) await each();
});

function making(config: Config, store: Store) {
  const logged: string[] = [];
  const log = pino({}, { write: (line: string) => void logged.push(line) });
  const thread = new MakingThread({ config, versions, snapshotFormat: 9 }, { store, log });
  undo.push(() => thread.close());
  return { thread, logged };
}

const asked = { tenant: "acme", author: "ann", privacy: null };
const order = { ...asked, note: "" };

onEachDatabase(({ empty }) => {
  test("a thread makes what the calling thread would", async () => {
    const database = await empty();
    const store = await database.open();
    await store.anomalies.record([report(), report({ id: id(11) })]);
    await store.incidents.record({ incidents: [incident()], changes: [] });
    const { data_dir, store: place } = database.config();
    const config = configSchema.parse({ data_dir, store: place });
    const { thread } = making(config, store);
    const made = (await thread.make({ ...order, note: "an audit", subject: { incident: id(1) } }))!;
    expect(made).toEqual(await store.evidence.get("acme", made.id));
    const file = Buffer.from((await store.evidence.bytes("acme", made.id))!).toString();
    const keys = new SigningKeys(config);
    expect(await verifyBundle(file, { keys: await keys.list() })).toMatchObject({ ok: true });
    const composer = new Composer({
      config,
      store,
      keys,
      versions,
      snapshotFormat: 9,
      duties: dutiesBy(() => Reporting.load(config), store.incidentReports),
    });
    const here = (await composer.compose({ ...asked, subject: { incident: id(1) } }))!;
    const { anomalies, incidents, settings, left_out, versions: used } = read(file);
    expect(anomalies).toHaveLength(1);
    expect(read(here.bytes)).toMatchObject({ anomalies, incidents, settings, left_out, versions: used });
    expect(read(file).duties.map(({ template }) => template)).toEqual(
      read(here.bytes).duties.map(({ template }) => template),
    );
  });

  test("what a thread appends to the audit log is known to the store of the process", async () => {
    const database = await empty();
    const store = await database.open();
    await store.anomalies.record([report()]);
    const { data_dir, store: place } = database.config();
    const config = configSchema.parse({ data_dir, store: place });
    const { thread } = making(config, store);
    await thread.make({ ...order, subject: { anomaly: id(1) } });
    await store.audit.append("acme", { actor: "ann", action: "test", target: "x" });
    await thread.make({ ...order, subject: { anomaly: id(1) } });
    expect(store.auditHeads()).toMatchObject({ entries: 3, altered: 0 });
    const heads = (await readHeads(headsFile(config)))!;
    expect(heads.map(({ tenant, seq }) => [tenant, seq])).toEqual([
      ["acme", 1],
      ["acme", 2],
      ["acme", 3],
    ]);
    expect(await store.admin.auditHeads()).toEqual(heads.slice(-1));
  });

  test("a thread refuses what the calling thread would", async () => {
    const database = await empty();
    const store = await database.open();
    const large = { text: "x".repeat(24 * 2 ** 20), novel: [], index: 0 };
    await store.anomalies.record([report(), report({ id: id(50), record: large })]);
    const { data_dir, store: place } = database.config();
    const { thread } = making(configSchema.parse({ data_dir, store: place }), store);
    expect(await thread.make({ ...order, subject: { anomaly: id(99) } })).toBeUndefined();
    const refused = await thread.make({ ...order, subject: { anomaly: id(50) } }).catch((error) => error);
    expect(refused).toBeInstanceOf(EvidenceRefused);
    expect(refused).toMatchObject({ message: expect.stringContaining("64 MiB"), temporary: false });
    const signing = { key_file: join(data_dir, "missing.pem") };
    const unsigned = making(configSchema.parse({ data_dir, store: place, evidence: { signing } }), store);
    await expect(unsigned.thread.make({ ...order, subject: { anomaly: id(1) } })).rejects.toThrow(
      "evidence.signing.key_file",
    );
    const note = "x".repeat(5_000);
    const invalid = await thread
      .make({ ...order, note, subject: { anomaly: id(1) } })
      .catch((error) => error);
    expect(invalid).toBeInstanceOf(InvalidArgument);
    expect(invalid.message).toMatch(/^note: must /);
    expect((await store.evidence.list("acme")).items).toEqual([]);
  });

  test("a thread says in the log why a bundle has no time stamp", async () => {
    const database = await empty();
    const store = await database.open();
    await store.anomalies.record([report()]);
    const { data_dir, store: place } = database.config();
    const timestamps = { url: "http://127.0.0.1:1/tsr" };
    const config = configSchema.parse({ data_dir, store: place, evidence: { timestamps } });
    const { thread, logged } = making(config, store);
    const made = (await thread.make({ ...order, subject: { anomaly: id(1) } }))!;
    expect(read((await store.evidence.bytes("acme", made.id))!).timestamping!.missing).toBe(
      "could not be reached",
    );
    expect(logged.join("")).toContain("a bundle gets no time stamp");
  });
});

test("a database that cannot be used is said to be so by the thread", async () => {
  const data_dir = mkdtempSync(join(tmpdir(), "driftlock-making-"));
  undo.push(() => rmSync(data_dir, { recursive: true, force: true }));
  const config = configSchema.parse({ data_dir });
  const store = await openStore(config, options());
  await store.close();
  for (const end of ["", "-wal", "-shm"]) rmSync(join(data_dir, `driftlock.db${end}`), { force: true });
  writeFileSync(join(data_dir, "driftlock.db"), "this is not a database".repeat(1_000));
  const { thread } = making(config, store);
  const error = await thread.make({ ...order, subject: { anomaly: id(1) } }).catch((each) => each);
  expect(isUnavailable(error)).toBe(true);
});

function read(file: string | Uint8Array) {
  const text = typeof file === "string" ? file : Buffer.from(file).toString();
  return bundleSchema.parse(JSON.parse(text)).content;
}
