import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { afterAll, afterEach, expect, it } from "vitest";
import type { Notice } from "../../src/notify/index.ts";
import { onEachDatabase } from "../store/databases.ts";
import { type Answer, type Arrived, startReceiver } from "./receiver.ts";
import { notice, notifierOf } from "./support.ts";

const folder = mkdtempSync(join(tmpdir(), "driftlock-notify-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const secretFile = join(folder, "secret");
const secret = `whsec_${Buffer.alloc(32, 7).toString("base64")}`;
writeFileSync(secretFile, `${secret}\n`);

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean();
});

const minute = 60_000;
const hour = 60 * minute;

onEachDatabase((databases) => {
  async function start(
    more: object = {},
    answer?: (request: Arrived, index: number) => Answer,
    notify: object = {},
  ) {
    const receiver = await startReceiver(answer);
    cleanups.push(() => receiver.close());
    let ahead = 0;
    const database = await databases.empty();
    const store = await database.open({ now: () => Date.now() + ahead });
    const hook = { name: "hook", url: receiver.url, secret: { file: secretFile }, ...more };
    const settings = { webhook: [hook], ...notify };
    const running = notifierOf(store, settings);
    return {
      ...running,
      receiver,
      store,
      /** A notifier of another process. */
      another: () => notifierOf(store, settings).notifier,
      types: () => receiver.arrived.map(({ json }) => json.type),
      async pass(ms: number) {
        ahead += ms;
        await running.notifier.tick();
      },
      async offer(...notices: Notice[]) {
        for (const each of notices) running.notifier.offer(each);
        await running.notifier.tick();
      },
    };
  }

  it("sends an update if the severity or the likeliest cause has changed, and only then", async () => {
    const { offer, pass, types, receiver } = await start();
    await offer(notice());
    await offer(notice({ sentence: "It has grown", services: ["checkout", "payments", "cart"] }));
    await pass(6 * minute);
    expect(types()).toEqual(["incident.opened"]);
    await offer(notice({ sentence: "Another cause", causes: [{ service: "cart", reason: "It is slow" }] }));
    await pass(6 * minute);
    expect(types()).toEqual(["incident.opened", "incident.updated"]);
    expect(receiver.arrived[1]!.json.data).toMatchObject({ sentence: "Another cause" });
    await offer(notice({ severity: "low", causes: [{ service: "cart", reason: "It is slow" }] }));
    await pass(6 * minute);
    expect(types()).toHaveLength(3);
  });

  it("sends the beginning, an update and the end, signed, each once", async () => {
    const { notifier, receiver, offer, pass, types, results } = await start();
    await offer(notice());
    await offer(notice());
    expect(types()).toEqual(["incident.opened"]);
    await offer(notice({ severity: "critical" }));
    expect(types()).toEqual(["incident.opened"]);
    await pass(6 * minute);
    expect(types()).toEqual(["incident.opened", "incident.updated"]);
    notifier.resolve({ tenant: "acme", incident: "a1", endsAt: Date.parse("2026-01-31T12:30:00Z") });
    await notifier.tick();
    await pass(24 * hour);
    expect(types()).toEqual(["incident.opened", "incident.updated", "incident.resolved"]);
    expect(results).toEqual({ sent: 3 });

    const verifier = new Webhook(secret);
    for (const { text, headers } of receiver.arrived) {
      expect(verifier.verify(text, headers as Record<string, string>)).toEqual(JSON.parse(text));
      const other = { ...headers, "webhook-id": "msg_other" } as unknown as Record<string, string>;
      expect(() => verifier.verify(text, other)).toThrow();
    }
    expect(receiver.arrived[2]!.json.data).toMatchObject({
      incident: "a1",
      state: "resolved",
      severity: "critical",
      starts_at: "2026-01-31T12:00:00.000Z",
      ends_at: "2026-01-31T12:30:00.000Z",
      causes: [{ service: "payments" }],
    });
    const keys = new Set(receiver.arrived.map(({ json }) => json.data.key));
    const ids = new Set(receiver.arrived.map(({ headers }) => headers["webhook-id"]));
    expect([keys.size, ids.size]).toEqual([1, 3]);
  });

  it("tries again with the same id, as late as the receiver asks, and after a restart", async () => {
    const { receiver, offer, pass, store, another, results, logged } = await start({}, (_, index) =>
      index < 2 ? { status: 503, headers: { "retry-after": "1800" }, body: "busy" } : {},
    );
    await offer(notice());
    await pass(29 * minute);
    expect(receiver.arrived).toHaveLength(1);
    await pass(2 * minute);
    expect(receiver.arrived).toHaveLength(2);
    expect(logged.join()).toContain("answers with status 503: busy");
    await pass(31 * minute);
    expect(results).toEqual({ failed: 2, sent: 1 });
    expect(new Set(receiver.arrived.map(({ headers }) => headers["webhook-id"])).size).toBe(1);

    // Another process takes over what was not sent, and nothing that was.
    await store.notifications.change([
      {
        tenant: "acme",
        incident: "b2",
        channel: "hook",
        begins: true,
        next: () => JSON.stringify(notice({ incident: "b2" })),
        resolved: false,
      },
    ]);
    await another().tick();
    expect(receiver.arrived.map(({ json }) => json.data.incident)).toEqual(["a1", "a1", "a1", "b2"]);
  });

  it("is sent by one of several processes", async () => {
    const { receiver, offer, another } = await start();
    const others = [another(), another()];
    const notices = Array.from({ length: 15 }, (_, i) => notice({ incident: `i${i}` }));
    await Promise.all([offer(...notices), ...others.map((each) => each.tick())]);
    await Promise.all(others.map((each) => each.tick()));
    const incidents = receiver.arrived.map(({ json }) => json.data.incident).sort();
    expect(incidents).toEqual(notices.map(({ incident }) => incident).sort());
  });

  it("gives up what the receiver refuses for good", async () => {
    const { receiver, offer, pass, results } = await start({}, () => ({ status: 422 }));
    await offer(notice());
    await pass(24 * hour);
    expect(receiver.arrived).toHaveLength(1);
    expect(results).toEqual({ failed: 1, dropped: 1 });
  });

  it("goes where it matches", async () => {
    const { receiver, offer } = await start({
      match: { tenant: "ac*", service: "pay*", min_severity: "high" },
    });
    await offer(
      notice({ incident: "a", severity: "medium" }),
      notice({ incident: "b", tenant: "other" }),
      notice({ incident: "c", services: ["checkout"] }),
      notice({ incident: "d" }),
    );
    expect(receiver.arrived.map(({ json }) => json.data.incident)).toEqual(["d"]);
    // It becomes graver, so that it is new to the channel.
    await offer(notice({ incident: "a", severity: "critical" }));
    expect(receiver.arrived.map(({ json }) => json.type)).toEqual(["incident.opened", "incident.opened"]);
  });

  it("sends one summary of what is beyond the limit per hour", async () => {
    const { notifier, receiver, offer, pass, types, results } = await start({ max_per_hour: 2 });
    await offer(...["a", "b", "c", "d", "e"].map((incident) => notice({ incident })));
    expect(types()).toEqual(["incident.opened", "incident.opened"]);
    notifier.resolve({ tenant: "acme", incident: "a", endsAt: 1 });
    notifier.resolve({ tenant: "acme", incident: "c", endsAt: 1 });
    await notifier.tick();
    expect(types()).toEqual(["incident.opened", "incident.opened", "incident.resolved"]);
    await pass(61 * minute);
    expect(types().slice(3)).toEqual(["incident.summary"]);
    const { incidents } = receiver.arrived[3]!.json.data;
    expect(incidents.map(({ incident, state }: Notice) => `${incident} ${state}`).sort()).toEqual([
      "c resolved",
      "d open",
      "e open",
    ]);
    expect(results).toEqual({ sent: 4, summarized: 3 });
    notifier.resolve({ tenant: "acme", incident: "d", endsAt: 1 });
    await notifier.tick();
    await pass(24 * hour);
    expect(types().slice(4)).toEqual(["incident.resolved"]);
  });

  it("holds back what a window matches, and never sends what is resolved before it closes", async () => {
    const local = (ms: number) => new Date(Date.now() + ms).toISOString().slice(0, 16);
    const windows = [
      { name: "work", match: { service: "check*" }, start: local(-hour), end: local(2 * hour) },
    ];
    const { notifier, receiver, offer, pass, results } = await start({}, undefined, { windows });
    await offer(
      notice({ incident: "a" }),
      notice({ incident: "b" }),
      notice({ incident: "c", services: ["search"] }),
    );
    expect(receiver.arrived.map(({ json }) => json.data.incident)).toEqual(["c"]);
    notifier.resolve({ tenant: "acme", incident: "b", endsAt: 1 });
    await notifier.tick();
    await pass(2 * hour + minute);
    await pass(24 * hour);
    expect(receiver.arrived.map(({ json }) => json.data.incident)).toEqual(["c", "a"]);
    expect(results).toEqual({ sent: 2, withheld: 1 });
  });

  it("leaves what is on its way at the end to the next start, at once, and looks at windows again", async () => {
    const windows = [
      { name: "work", start: "2026-01-01T00:00", end: "2026-01-31T00:00", rrule: "FREQ=WEEKLY" },
    ];
    let hang = () => {};
    const hanging = new Promise<void>((resolve) => {
      hang = resolve;
    });
    const first = await start({ name: "slow" }, () => {
      hang();
      return { after: new Promise(() => {}) };
    });
    first.notifier.offer(notice({ incident: "a" }));
    void first.notifier.tick();
    await hanging;
    await first.notifier.close();
    const hook = { name: "slow", url: first.receiver.url, secret: { file: secretFile } };
    const closed = notifierOf(first.store, { webhook: [hook], windows }).notifier;
    closed.offer(notice({ incident: "b" }));
    await closed.tick();
    await closed.close();
    expect(first.receiver.arrived).toHaveLength(1);

    const { url, arrived, close } = await startReceiver();
    cleanups.push(close);
    const next = notifierOf(first.store, { webhook: [{ ...hook, url }] }).notifier;
    next.start();
    await next.tick();
    await next.close();
    expect(arrived.map(({ json }) => json.data.incident).sort()).toEqual(["a", "b"]);
  });

  it("tells a receiver that forgets all changes, also while a window is open", async () => {
    const { receiver, store, pass } = await start();
    const alertmanager = [{ name: "am", url: receiver.url }];
    const windows = [
      { name: "work", start: "2026-01-01T00:00", end: "2026-01-08T00:00", rrule: "FREQ=WEEKLY" },
    ];
    const before = notifierOf(store, { alertmanager }).notifier;
    const now = notifierOf(store, { alertmanager, windows }).notifier;
    before.offer(notice());
    await before.tick();
    now.offer(notice({ incident: "b" }));
    now.offer(notice({ severity: "critical" }));
    await now.tick();
    await pass(6 * minute);
    await now.tick();
    const severities = receiver.arrived.map(({ json }) => json[0].labels.severity);
    expect(severities).toEqual(["high", "critical"]);
    expect(receiver.arrived[1]!.json[1].labels).toMatchObject({ incident: "a1", severity: "high" });
  });

  it("drops what the store refuses, and goes on", async () => {
    const { receiver, offer, results } = await start();
    await offer(notice({ tenant: "" }));
    await offer(notice());
    expect(receiver.arrived.map(({ json }) => json.data.incident)).toEqual(["a1"]);
    expect(results).toEqual({ dropped: 1, sent: 1 });
    // Those that are stored with it are not dropped.
    await offer(notice({ incident: "a2" }), notice({ incident: "not an id" }), notice({ incident: "a3" }));
    expect(receiver.arrived.map(({ json }) => json.data.incident)).toEqual(["a1", "a2", "a3"]);
    expect(results).toEqual({ dropped: 2, sent: 3 });
  });

  it("remembers a bounded number of incidents", async () => {
    const { store } = await start();
    const change = (from: number, count: number) =>
      store.notifications.change(
        Array.from({ length: count }, (_, i) => ({
          tenant: "acme",
          incident: `i${from + i}`,
          channel: "hook",
          begins: true,
          next: () => "{}",
          resolved: false,
        })),
      );
    await store.notifications.change([]);
    let refused = 0;
    for (let at = 0; at < 10_500; at += 1_500) refused += (await change(at, 1_500)).refused.length;
    expect(refused).toBe(500);
  }, 120_000);
});
