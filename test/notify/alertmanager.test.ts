/** Incidents in a real Alertmanager. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Severity } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { IncidentState } from "../../src/gen/driftlock/v1/incidents_pb.js";
import { incidentNotices } from "../../src/notify/index.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { id, incident, options, storeConfig } from "../store/fixtures.ts";
import { skipAlertmanager, startAlertmanager } from "./alertmanager.ts";
import { startReceiver } from "./receiver.ts";
import { notice, notifierOf } from "./support.ts";

describe.skipIf(skipAlertmanager)("Alertmanager", () => {
  const folder = mkdtempSync(join(tmpdir(), "driftlock-alerts-"));
  let receiver: Awaited<ReturnType<typeof startReceiver>>;
  let server: Awaited<ReturnType<typeof startAlertmanager>>;
  let store: Store;
  let ahead = 0;

  beforeAll(async () => {
    receiver = await startReceiver();
    server = await startAlertmanager(receiver.url);
    store = await openStore(storeConfig(folder), options({ now: () => Date.now() + ahead }));
  }, 300_000);
  afterAll(async () => {
    await store?.close();
    await server?.close();
    await receiver?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("receives, repeats, groups and resolves an incident", async () => {
    const { notifier, results } = notifierOf(store, {
      alertmanager: [{ name: "am", url: `${server.url}/` }],
    });
    const begun = notice({ startsAt: Date.now() - 1_000 });
    notifier.offer(begun);
    await notifier.tick();
    await expect.poll(() => server.alerts()).toHaveLength(1);
    const [alert] = await server.alerts();
    expect(alert).toMatchObject({
      labels: {
        alertname: "DriftlockIncident",
        tenant: "acme",
        incident: "a1",
        severity: "high",
        service: "payments",
      },
      annotations: { summary: "checkout is slow", services: "checkout, payments" },
      generatorURL: "http://127.0.0.1:8080/v1/anomalies/a1",
      status: { state: "active" },
    });
    await expect.poll(() => receiver.arrived.length, { timeout: 10_000 }).toBe(1);

    // A receiver that forgets is told again, and nobody is notified twice.
    ahead += 61_000;
    await notifier.tick();
    expect(results.sent).toBe(2);
    const [repeated] = await server.alerts();
    expect(Date.parse(repeated!.endsAt)).toBeGreaterThan(Date.parse(alert!.endsAt));

    // A label changes, which is another alert of the same group; the former one is over.
    notifier.offer({ ...begun, severity: "critical" });
    ahead += 301_000;
    await notifier.tick();
    await notifier.tick();
    await expect
      .poll(async () => (await server.alerts()).map(({ labels }) => labels.severity))
      .toEqual(["critical"]);

    notifier.resolve({ tenant: "acme", incident: "a1", endsAt: Date.now() });
    await notifier.tick();
    await expect.poll(() => server.alerts()).toEqual([]);
    await expect
      .poll(() => receiver.arrived.at(-1)?.json, { timeout: 10_000 })
      .toMatchObject({ status: "resolved", groupLabels: { incident: "a1" } });
    const before = results.sent;
    ahead += 3_600_000;
    await notifier.tick();
    expect(results).toEqual({ sent: before });
  }, 60_000);

  it("has one alert for an incident from its beginning to its end", async () => {
    const { notifier } = notifierOf(store, { alertmanager: [{ name: "formed", url: server.url }] });
    const take = incidentNotices(notifier, "https://driftlock.example");
    const since = BigInt(Date.now()) * 1_000_000n;
    const formed = (init: Parameters<typeof incident>[0] = {}) =>
      incident({ startTimeUnixNano: since, endTimeUnixNano: since, ...init });
    const own = async () => (await server.alerts()).filter(({ labels }) => labels.incident === id(1));
    take(formed());
    await notifier.tick();
    await expect.poll(own).toHaveLength(1);
    expect((await own())[0]).toMatchObject({
      labels: { severity: "high", service: "payment" },
      generatorURL: `https://driftlock.example/v1/incidents/${id(1)}`,
    });
    take(formed({ revision: 2, sentence: "It has grown" }));
    take(formed({ revision: 3, severity: Severity.CRITICAL }));
    ahead += 6 * 60_000;
    await notifier.tick();
    await expect.poll(async () => (await own()).map(({ labels }) => labels.severity)).toEqual(["critical"]);
    take(formed({ revision: 4, state: IncidentState.ENDED }));
    await notifier.tick();
    await expect.poll(own).toEqual([]);
  });
});
