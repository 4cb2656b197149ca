/** Channels and outbox of notifications, of a sidecar with real receivers. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startReceiver } from "../notify/receiver.ts";
import { type Dashboard, startDashboard } from "../ui/dashboard.ts";

interface Notifications {
  channels: { name: string; waiting: number; failing: number; sent_at: string | null }[];
  windows: { name: string; open_until: string | null }[];
  outbox: { channel: string; title: string; state: string; attempts: number }[];
}

let good: Awaited<ReturnType<typeof startReceiver>>;
let bad: typeof good;
let sidecar: Dashboard;
beforeAll(async () => {
  process.env.DRIFTLOCK_TEST_HOOK = Buffer.alloc(32, 7).toString("base64");
  [good, bad] = await Promise.all([startReceiver(), startReceiver(() => ({ status: 503 }))]);
  const hook = { secret: { env: "DRIFTLOCK_TEST_HOOK" } };
  sidecar = await startDashboard({
    notify: {
      webhook: [
        { ...hook, name: "good", url: good.url, match: { min_severity: "low" } },
        { ...hook, name: "bad", url: bad.url },
        { ...hook, name: "elsewhere", url: bad.url, match: { tenant: "rival" } },
      ],
      windows: [
        { name: "past", start: "2020-01-01T22:00", end: "2020-01-02T06:00", time_zone: "UTC" },
        {
          name: "rivals",
          start: "2020-01-01T22:00",
          end: "2020-01-02T06:00",
          time_zone: "UTC",
          match: { tenant: "rival" },
        },
      ],
    },
  });
}, 60_000);
afterAll(async () => {
  await sidecar?.close();
  await good?.close();
  await bad?.close();
  delete process.env.DRIFTLOCK_TEST_HOOK;
});

const test = async (channel: string) => {
  const answer = await fetch(sidecar.url("/v1/notifications/test"), {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ channel }),
  });
  return { status: answer.status, ...((await answer.json()) as object) };
};

describe("notifications", () => {
  it("have channels and windows that are for the tenant, without addresses and secrets", async () => {
    const found = await sidecar.get<Notifications>("/v1/notifications");
    expect(found).toEqual({
      channels: ["good", "bad"].map((name) => ({
        name,
        type: "webhook",
        service: null,
        min_severity: name === "good" ? "low" : null,
        waiting: 0,
        failing: 0,
        sent_at: null,
      })),
      windows: [{ name: "past", open_until: null }],
      outbox: [],
    });
  });

  it("are tested, one channel at a time, which the audit log has", async () => {
    expect(await test("good")).toEqual({ status: 200, accepted: true, reason: null });
    expect(good.arrived).toHaveLength(2);
    expect(good.arrived[0]!.text).toContain("This is a test by anonymous; nothing is wrong");
    expect(await test("bad")).toEqual({
      status: 200,
      accepted: false,
      reason: expect.stringContaining("503"),
    });
    for (const name of ["elsewhere", "unknown"]) expect((await test(name)).status).toBe(404);
    const { items } = await sidecar.get<{ items: object[] }>("/v1/audit");
    expect(items).toMatchObject([
      { action: "notification.tested", target: "bad", actor: "anonymous" },
      { action: "notification.tested", target: "good" },
    ]);
  });
});
