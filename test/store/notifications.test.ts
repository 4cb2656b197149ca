/** What the outbox tells about the messages of a tenant. */
import { expect, it } from "vitest";
import { fresh, onEachDatabase } from "./databases.ts";
import { id } from "./fixtures.ts";

onEachDatabase((databases) => {
  it("lists messages by incident and channel, and counts those that wait and fail", async () => {
    const { store } = await fresh(databases);
    const { notifications } = store;
    const change = (incident: number, channel: string, tenant = "acme") => ({
      tenant,
      incident: id(incident),
      channel,
      begins: true,
      next: () => JSON.stringify({ title: `incident ${incident}` }),
      resolved: false,
    });
    await notifications.change([
      change(1, "mail"),
      change(2, "mail"),
      change(1, "pager"),
      change(3, "mail", "rival"),
    ]);
    const claimed = await notifications.claim("mail", { summarized: false, limit: 10, leaseMs: 1_000 });
    const row = (n: number) => claimed.find(({ incident }) => incident === id(n))!;
    await notifications.sent(row(1), undefined);
    await notifications.failed(row(2), Date.now() + 60_000);

    const counts = await notifications.counts("acme");
    expect(counts.get("mail")).toEqual({ waiting: 1, failing: 1, sentAt: expect.any(Number) });
    expect(counts.get("pager")).toEqual({ waiting: 1, failing: 0 });
    expect(await notifications.counts("nobody")).toEqual(new Map());

    const listed = await notifications.list("acme", 10);
    expect(
      listed.map(({ incident, channel, delivered, attempts }) => [incident, channel, delivered, attempts]),
    ).toEqual([
      [id(1), "mail", true, 0],
      [id(1), "pager", false, 0],
      [id(2), "mail", false, 1],
    ]);
    expect(listed[0]).toMatchObject({
      notice: '{"title":"incident 1"}',
      resolved: false,
      held: "",
      nextAt: undefined,
      sentAt: expect.any(Number),
    });
    expect(listed[2]!.nextAt).toBeGreaterThan(Date.now());
    expect(await notifications.list("acme", 1)).toHaveLength(1);
  });
});
