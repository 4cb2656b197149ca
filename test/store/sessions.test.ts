import { expect, it } from "vitest";
import { fresh, onEachDatabase } from "./databases.ts";

onEachDatabase((databases) => {
  it("keeps sessions in the database, the latest hundred of a key", async () => {
    const { store, database } = await fresh(databases);
    const { secret } = await store.keys.create("acme", { name: "n", scopes: ["read"] }, "ann");
    const identity = (await store.keys.verify(secret))!;
    const first = await store.sessions.create(identity);
    expect(await store.sessions.verify(first.secret)).toMatchObject({
      identity: { tenant: "acme", scopes: ["read"] },
      expiresAt: first.expiresAt,
    });
    await store.close();

    const again = await database.open();
    expect(await again.sessions.verify(first.secret)).toMatchObject({ identity: { id: identity.id } });
    for (let i = 0; i < 100; i++) await again.sessions.create(identity);
    await again.close();
    const last = await database.open();
    expect(await last.sessions.verify(first.secret)).toBeUndefined();
    expect(await last.sessions.verify("dls_unknown")).toBeUndefined();
  });
});
