import { expect, it } from "vitest";
import { fresh, onEachDatabase } from "./databases.ts";

onEachDatabase((databases) => {
  it("keeps sessions in the database, the latest hundred of a key", async () => {
    const { store, database } = await fresh(databases);
    const { secret } = await store.keys.create("acme", { name: "n", scopes: ["read"] }, "ann");
    const { id: keyId, prefix } = (await store.keys.verify(secret))!;
    const holder = { tenant: "acme", subject: prefix, scopes: ["read"], keyId } as const;
    const first = await store.sessions.create(holder, undefined);
    expect(await store.sessions.verify(first.secret)).toEqual({ ...holder, expiresAt: first.expiresAt });
    await store.close();

    const again = await database.open();
    expect(await again.sessions.verify(first.secret)).toMatchObject({ keyId });
    for (let i = 0; i < 100; i++) await again.sessions.create(holder, undefined);
    await again.close();
    const last = await database.open();
    expect(await last.sessions.verify(first.secret)).toBeUndefined();
    expect(await last.sessions.verify("dls_unknown")).toBeUndefined();
  });

  it("keeps sessions of people, the latest hundred of each, apart from those of keys", async () => {
    const { store } = await fresh(databases);
    const ann = { tenant: "acme", subject: "user:ann", scopes: ["read", "admin"] } as const;
    const bob = { ...ann, subject: "user:bob", scopes: ["read"] } as const;
    const endsAt = Date.now() + 60_000;
    const first = await store.sessions.create(ann, endsAt);
    expect(first.expiresAt).toBe(endsAt);
    expect(await store.sessions.verify(first.secret)).toEqual({ ...ann, expiresAt: endsAt });
    for (let i = 0; i < 100; i++) await store.sessions.create(bob, endsAt);
    expect(await store.sessions.verify(first.secret)).toMatchObject(ann);
    await store.sessions.end(first.secret);
    expect(await store.sessions.verify(first.secret)).toBeUndefined();
  });
});
