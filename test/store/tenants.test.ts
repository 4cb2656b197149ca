/** No method shows or changes anything of another tenant, with any arguments. */
import { expect, it } from "vitest";
import { sha256 } from "../../src/base/sha256.ts";
import type { Store } from "../../src/store/index.ts";
import { fresh, onEachDatabase } from "./databases.ts";
import { id, incident, llmCall, midnight, observation, report } from "./fixtures.ts";

const range = { from: "2000-01-01", to: "2100-01-01" };

const enter = (note: string) => () => ({ entered: { note }, detail: { note } });

/** Stores data of `tenant`, with the same ids for each tenant. */
async function fill(store: Store, tenant: string) {
  await store.anomalies.record([
    report({ id: id(1), tenant, record: { text: `secret of ${tenant}` }, explanation: tenant }),
    report({
      id: id(tenant === "mine" ? 2 : 3),
      tenant,
      stream: `logs service.name=${tenant}`,
      serviceName: tenant,
    }),
  ]);
  await store.anomalies.patch(tenant, id(1), {
    state: "resolved",
    author: `person of ${tenant}`,
    note: tenant,
  });
  await store.streams.record([
    observation({
      tenant,
      key: "logs shared",
      service: tenant,
      records: tenant === "mine" ? 1n : 1_000n,
    }),
  ]);
  if (tenant === "theirs") {
    const services = ["secret of theirs"];
    const incidents = [incident({ id: id(21), tenant, services, sentence: "secret of theirs" })];
    await store.incidents.record({ incidents, changes: [] });
    await store.changes.post(tenant, newChange("secret of theirs"));
    await store.incidentReports.change(tenant, id(21), tenant, enter("secret of theirs"));
  }
  store.llm.offer(
    llmCall({
      id: tenant,
      tenant,
      conversationId: `secret of ${tenant}`,
      serviceName: tenant,
      agent: tenant,
    }),
  );
  store.usage.add(tenant, { requests: 1, records: tenant === "mine" ? 1 : 1_000, bytes: 1 });
  await store.usage.flush();
  const subscription = { id: `secret of ${tenant}`, customer: tenant, plan: tenant, active: true };
  if (tenant === "theirs") await store.billing.subscribe({ tenant, ...subscription }, tenant);
  await store.evidence.add(tenant, {
    id: tenant === "mine" ? "mine" : "theirs",
    author: tenant,
    bytes: Buffer.from(`secret of ${tenant}`),
  });
  return store.keys.create(tenant, { name: tenant, scopes: ["read"] }, tenant);
}

const newChange = (title: string) => ({
  id: "deploy",
  time: midnight,
  service: title,
  title,
  link: "",
  attribute: "",
  value: "",
  previous: "",
});

/** Returns a text that contains everything of a result. */
function shown(value: unknown): string {
  return JSON.stringify(value, (_, inner) => {
    if (typeof inner === "bigint") return String(inner);
    return inner instanceof Uint8Array ? Buffer.from(inner).toString("latin1") : inner;
  });
}

onEachDatabase((databases) => {
  it("keeps tenants apart through every method", async () => {
    const { store } = await fresh(databases);
    const theirs = await fill(store, "theirs");
    await fill(store, "mine");
    const theirStreams = (await store.streams.list("theirs")).items;
    const theirOwn = theirStreams.find(({ service, key }) => service === "theirs" && key !== "logs shared")!;
    const everythingOfTheirs = async () =>
      shown([
        await store.anomalies.list("theirs"),
        await store.anomalies.get("theirs", id(1)),
        await store.anomalies.get("theirs", id(3)),
        await store.streams.list("theirs"),
        await store.streams.history("theirs", theirOwn),
        await store.keys.list("theirs"),
        await store.audit.list("theirs"),
        await store.usage.list("theirs", range),
        await store.billing.subscription("theirs"),
        await store.evidence.list("theirs"),
        await store.evidence.bytes("theirs", "theirs"),
        await store.incidentReports.get("theirs", id(21)),
        await store.incidents.list("theirs"),
        await store.incidents.get("theirs", id(21)),
        await store.changes.list("theirs"),
        await store.llm.list("theirs"),
        await store.llm.get("theirs", sha256("secret of theirs").slice(0, 32)),
      ]);
    const before = await everythingOfTheirs();
    const page = await store.anomalies.list("theirs", {}, { limit: 1 });

    // These are called as "mine", with all that is known of "theirs". No result may contain their name, unless noted.
    const tried: Record<string, (() => Promise<unknown>)[]> = {
      "anomalies.list": [
        () => store.anomalies.list("mine"),
        () => store.anomalies.list("mine", {}, { after: page.next! }),
        () => store.anomalies.list("mine", { text: "secret of theirs" }),
        () => store.anomalies.list("mine", { stream: "logs service.name=theirs" }),
        () => store.anomalies.list("mine", { streamId: theirOwn.id }),
        () => store.anomalies.list("mine", { service: "theirs' or '1'='1" }),
      ],
      "llm.list": [
        () => store.llm.list("mine"),
        () => store.llm.list("mine", { service: "theirs" }),
        () => store.llm.list("mine", { agent: "theirs" }),
      ],
      "llm.get": [() => store.llm.get("mine", sha256("secret of theirs").slice(0, 32))],
      "anomalies.changedSince": [() => store.anomalies.changedSince("mine", { time: 0, id: "" }, 100)],
      "anomalies.get": [() => store.anomalies.get("mine", id(1)), () => store.anomalies.get("mine", id(3))],
      "anomalies.patch": [
        () => store.anomalies.patch("mine", id(3), { state: "false", author: "mallory" }),
        () => store.anomalies.patch("mine", id(1), { state: "false", author: "mallory" }),
      ],
      // On the sidecar's side, reports name their own tenant.
      "anomalies.record": [
        () => store.anomalies.record([report({ id: id(1), tenant: "mine", occurrence: 64n })]),
      ],
      "anomalies.counts": [
        () =>
          store.anomalies.counts(
            "mine",
            { from: 0n, until: 2n * midnight },
            { by: "service", buckets: 2, top: 10 },
          ),
      ],
      "anomalies.reports": [
        () => store.anomalies.reports("mine", id(1)),
        () => store.anomalies.reports("mine", id(3)),
      ],
      "anomalies.related": [() => store.anomalies.related("mine", id(3))],
      "anomalies.some": [() => store.anomalies.some("mine", [id(1), id(3)], 10)],
      "incidents.list": [
        () => store.incidents.list("mine"),
        () => store.incidents.list("mine", { service: "secret of theirs" }),
      ],
      "incidents.get": [() => store.incidents.get("mine", id(21))],
      "incidents.changedSince": [() => store.incidents.changedSince("mine", { time: 0, id: "" }, 100)],
      "incidents.ofAnomalies": [() => store.incidents.ofAnomalies("mine", [id(1), id(3)])],
      "incidents.openByService": [() => store.incidents.openByService("mine")],
      "incidents.patch": [() => store.incidents.patch("mine", id(21), { state: "false", author: "mallory" })],
      // On the sidecar's side, incidents name their own tenant.
      "incidents.record": [
        () => store.incidents.record({ incidents: [incident({ id: id(21), tenant: "mine" })], changes: [] }),
      ],
      "changes.list": [
        () => store.changes.list("mine"),
        () => store.changes.list("mine", { service: "secret of theirs" }),
      ],
      "changes.post": [() => store.changes.post("mine", newChange("mine"))],
      "streams.list": [
        () => store.streams.list("mine"),
        () => store.streams.list("mine", { service: "theirs" }),
      ],
      "streams.get": [() => store.streams.get("mine", theirOwn.id)],
      "streams.history": [() => store.streams.history("mine", theirOwn)],
      "streams.services": [() => store.streams.services("mine")],
      "streams.record": [() => store.streams.record([])],
      "keys.list": [() => store.keys.list("mine")],
      "keys.create": [() => store.keys.create("mine", { name: "new", scopes: ["admin"] }, "mallory")],
      "keys.revoke": [() => store.keys.revoke("mine", theirs.key.id, "mallory")],
      "keys.rotate": [() => store.keys.rotate("mine", theirs.key.id, 0, "mallory")],
      "keys.flush": [() => store.keys.flush()],
      "audit.append": [() => store.audit.append("mine", { actor: "mallory", action: "x", target: id(3) })],
      "audit.list": [() => store.audit.list("mine")],
      "audit.verify": [() => store.audit.verify("mine")],
      "audit.missing": [() => store.audit.missing("mine")],
      "usage.list": [() => store.usage.list("mine", range)],
      "usage.add": [async () => store.usage.add("mine", { requests: 5, records: 5, bytes: 5 })],
      "usage.flush": [() => store.usage.flush()],
      "billing.subscription": [() => store.billing.subscription("mine")],
      "billing.subscribe": [
        () =>
          store.billing.subscribe(
            { tenant: "mine", id: "theirs", customer: "mine", plan: "mine", active: true },
            "mallory",
          ),
      ],
      "evidence.list": [() => store.evidence.list("mine")],
      "evidence.get": [() => store.evidence.get("mine", "theirs")],
      "evidence.bytes": [() => store.evidence.bytes("mine", "theirs")],
      "evidence.kept": [() => store.evidence.kept("mine")],
      "evidence.delete": [() => store.evidence.delete("mine", "theirs", "mallory")],
      "evidence.expire": [() => store.evidence.expire("mine", Date.now() + 1_000)],
      "evidence.size": [() => store.evidence.size("mine")],
      "incidentReports.get": [() => store.incidentReports.get("mine", id(21))],
      "incidentReports.change": [
        () => store.incidentReports.change("mine", id(21), "mallory", enter("mine")),
        () => store.incidentReports.change("mine", id(22), "mallory", enter("mine")),
      ],
      "recordings.get": [
        () => store.recordings.get("mine", id(1)),
        () => store.recordings.get("mine", id(3)),
      ],
      "recordings.later": [
        () => store.recordings.later("mine", id(1)),
        () => store.recordings.later("mine", id(3)),
      ],
      "recordings.basis": [
        () => store.recordings.basis("mine", id(1)),
        () => store.recordings.basis("mine", id(21)),
        () => store.recordings.basis("mine", id(22)),
      ],
      "recordings.trim": [() => store.recordings.trim("mine", undefined)],
      "auditTree.grow": [() => store.auditTree.grow("mine")],
      "auditTree.root": [() => store.auditTree.root("mine", 1)],
      "auditTree.inclusion": [() => store.auditTree.inclusion("mine", 1, 1)],
      "auditTree.consistency": [() => store.auditTree.consistency("mine", 1, 1)],
      "auditTree.about": [() => store.auditTree.about("mine", [id(1), id(3), "theirs"], 1, 10)],
      "auditTree.keepCheckpoint": [() => store.auditTree.keepCheckpoint("mine", 1, "note")],
      "auditTree.lastCheckpoint": [() => store.auditTree.lastCheckpoint("mine")],
      "evidence.add": [
        () =>
          store.evidence.add("mine", {
            id: "theirs",
            author: "m",
            bytes: Buffer.from("content"),
          }),
      ],
    };
    // They take no tenant: the key determines it, and a time belongs to nobody.
    const elsewhere = new Set([
      "keys.verify",
      "keys.identify",
      "anomalies.latestChange",
      "incidents.latestChange",
      "incidents.now",
      "evidence.now",
      "keys.now",
      "incidents.expectations",
      "llm.offer",
      "llm.flush",
      // They serve the provider of billing, and who runs the installation.
      "billing.now",
      "billing.plans",
      "billing.collect",
      "billing.claim",
      "billing.settle",
      "billing.postpone",
      "billing.unsent",
      "billing.pending",
      "billing.decide",
      "billing.clean",
    ]);

    const rooms = [
      "anomalies",
      "incidents",
      "changes",
      "streams",
      "keys",
      "audit",
      "usage",
      "evidence",
      "incidentReports",
      "recordings",
      "auditTree",
      "llm",
      "billing",
    ] as const;
    const methods = rooms.flatMap((room) =>
      Object.entries(Object.getOwnPropertyDescriptors(Object.getPrototypeOf(store[room])))
        .filter(([name, { value }]) => name !== "constructor" && typeof value === "function")
        .map(([name]) => `${room}.${name}`),
    );
    expect([...Object.keys(tried), ...elsewhere].sort()).toEqual(methods.sort());

    for (const [method, calls] of Object.entries(tried)) {
      for (const call of calls) {
        expect(shown((await call()) ?? null), method).not.toMatch(
          /secret of theirs|"theirs"(?!,"anomaly|,"author":"m")/,
        );
        expect(await everythingOfTheirs(), method).toBe(before);
      }
    }
    // It is not even visible that their records contain a text.
    expect((await store.anomalies.list("mine", { text: "secret of theirs" })).items).toEqual([]);
    expect(await store.anomalies.get("mine", id(3))).toBeUndefined();
    expect(await store.streams.get("mine", theirOwn.id)).toBeUndefined();
    expect(await store.keys.revoke("mine", theirs.key.id, "mallory")).toBeUndefined();
    expect(await store.keys.verify(theirs.secret)).toMatchObject({ tenant: "theirs" });
    for (const tenant of ["mine", "theirs"]) expect((await store.audit.verify(tenant)).ok).toBe(true);
  });

  it("takes no tenant that could be read as another", async () => {
    const { store } = await fresh(databases);
    for (const tenant of ["", "a\0", "\0a", "\ud800", "x".repeat(129)]) {
      const calls: (() => Promise<unknown>)[] = [
        () => store.anomalies.list(tenant),
        () => store.anomalies.changedSince(tenant, { time: 0, id: "" }, 100),
        () => store.anomalies.get(tenant, id(1)),
        () => store.anomalies.patch(tenant, id(1), { state: "false", author: "a" }),
        () => store.anomalies.record([report({ tenant })]),
        () => store.streams.list(tenant),
        () => store.streams.get(tenant, id(1)),
        () => store.keys.list(tenant),
        () => store.keys.create(tenant, { name: "n", scopes: ["read"] }, "a"),
        () => store.keys.revoke(tenant, id(1), "a"),
        () => store.keys.rotate(tenant, id(1), 0, "a"),
        () => store.audit.list(tenant),
        () => store.audit.verify(tenant),
        () => store.audit.append(tenant, { actor: "a", action: "b", target: "" }),
        () => store.usage.list(tenant, range),
        async () => store.usage.add(tenant, { requests: 1, records: 1, bytes: 1 }),
        () => store.billing.subscription(tenant),
        () => store.billing.subscribe({ tenant, id: "x", customer: "x", plan: "x", active: true }, "a"),
        () => store.evidence.list(tenant),
        () => store.evidence.get(tenant, "x"),
        () => store.evidence.bytes(tenant, "x"),
        () => store.evidence.size(tenant),
        () => store.evidence.kept(tenant),
        () => store.incidentReports.get(tenant, id(1)),
        () => store.recordings.get(tenant, id(1)),
        () =>
          store.evidence.add(tenant, {
            id: "x",
            author: "a",
            bytes: Buffer.from("content"),
          }),
      ];
      for (const call of calls) await expect(call()).rejects.toThrow("tenant: must be 1 to 128 characters");
    }
    expect(await store.admin.tenants()).toEqual([]);
  });

  it("tells the tenants to who runs the installation, in pages", async () => {
    const { store } = await fresh(databases);
    await store.anomalies.record(["b", "c", "a"].map((tenant) => report({ tenant })));
    expect(await store.admin.tenants()).toEqual(["a", "b", "c"]);
    expect(await store.admin.tenants({ after: "a", limit: 1 })).toEqual(["b"]);
  });
});
