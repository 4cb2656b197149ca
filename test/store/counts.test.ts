import { expect, it } from "vitest";
import { Channel, Severity } from "../../src/gen/driftlock/v1/anomaly_pb.js";
import { fresh, onEachDatabase } from "./databases.ts";
import { id, midnight, report } from "./fixtures.ts";

const minute = 60_000_000_000n;

onEachDatabase((databases) => {
  it("counts anomalies by lane, bucket and severity", async () => {
    const { store } = await fresh(databases);
    await store.anomalies.record([
      report({ id: id(1) }),
      report({ id: id(2), startTimeUnixNano: midnight + minute, severity: Severity.CRITICAL }),
      report({ id: id(3), startTimeUnixNano: midnight + minute, channel: Channel.VOLUME }),
      report({ id: id(4), tenant: "other" }),
    ]);
    const range = { from: midnight, until: midnight + 10n * minute };
    const counted = await store.anomalies.counts("acme", range, { by: "channel", buckets: 10, top: 5 });
    expect(counted).toEqual({
      ...range,
      width: minute,
      lanes: [
        {
          lane: String(Channel.CONTENT),
          total: 2,
          counts: [
            { bucket: 0, severities: [0, 0, 1, 0, 0] },
            { bucket: 1, severities: [0, 0, 0, 0, 1] },
          ],
        },
        { lane: String(Channel.VOLUME), total: 1, counts: [{ bucket: 1, severities: [0, 0, 1, 0, 0] }] },
      ],
      others: { lanes: 0, total: 0, counts: [] },
      countedFrom: undefined,
    });
    const text = await store.anomalies.counts(
      "acme",
      { text: "nowhere" },
      { by: "service", buckets: 1, top: 1 },
    );
    expect(text.lanes).toEqual([]);
  });

  it("knows which anomalies have a trace in common", async () => {
    const { store } = await fresh(databases);
    const traceId = Uint8Array.from({ length: 16 }, (_, i) => i);
    await store.anomalies.record([
      report({ id: id(1), traceId }),
      report({ id: id(2), traceId, startTimeUnixNano: midnight + 60n * minute }),
      report({ id: id(3), startTimeUnixNano: midnight + minute, traceId: new Uint8Array() }),
      report({ id: id(4), tenant: "other", traceId }),
    ]);
    const related = (await store.anomalies.related("acme", id(1)))!;
    expect(related.sameTrace.map((each) => each.id)).toEqual([id(2)]);
    expect(related.sameTime.map((each) => each.id)).toEqual([id(3)]);
    const none = (await store.anomalies.related("acme", id(3)))!;
    expect(none.sameTrace).toEqual([]);
    expect(await store.anomalies.related("acme", id(4))).toBeUndefined();
  });
});
