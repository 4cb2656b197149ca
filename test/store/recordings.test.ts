import { expect, it } from "vitest";
import { encodeReport, type Report } from "../../src/anomaly/report.ts";
import { openStore, type Store } from "../../src/store/index.ts";
import { fresh, onEachDatabase } from "./databases.ts";
import { id, midnight, options, report } from "./fixtures.ts";

const day = 86_400_000;
const recorded = (n: number, bytes: number): Report => ({
  ...encodeReport(report({ id: id(n), startTimeUnixNano: midnight + BigInt(n) })),
  recording: new Uint8Array(bytes).fill(n),
});

async function offer(store: Store, ...reports: Report[]): Promise<void> {
  for (const each of reports) store.writer.offer(each);
  await store.writer.flush();
}

onEachDatabase((databases) => {
  it("keeps the recording of a first report apart from the report", async () => {
    const { store } = await fresh(databases);
    const first = recorded(1, 300);
    const later = encodeReport(report({ occurrence: 2n, record: { text: "another" } }));
    await offer(store, first, later, encodeReport(report({ id: id(2) })));
    const kept = async () => Buffer.from((await store.recordings.get("acme", id(1))) as Uint8Array);
    expect(await kept()).toEqual(Buffer.from(first.recording!));
    expect(await store.recordings.get("acme", id(2))).toBeUndefined();
    expect(await store.recordings.get("other", id(1))).toBeUndefined();
    const [stored] = await store.anomalies.reports("acme", id(1));
    expect(Buffer.from(stored!.bytes)).toEqual(Buffer.from(first.bytes));
    // The same report may come again.
    await offer(store, first);
    expect(await kept()).toEqual(Buffer.from(first.recording!));
  });

  it("drops the oldest recordings beyond the age and the size, and knows that there were some", async () => {
    let now = 1_000 * day;
    const database = await databases.empty();
    const recordings = { max_age: 30 * day, max_size: 250 };
    const config = { ...database.config(), evidence: { recordings } };
    const store = await openStore(config, options({ now: () => now }));
    for (const n of [1, 2, 3, 4]) {
      await offer(store, recorded(n, 100));
      now += 1_000;
    }
    const states = () =>
      Promise.all(
        [1, 2, 3, 4].map(async (n) => {
          const found = await store.recordings.get("acme", id(n));
          return found instanceof Uint8Array ? found.length : found;
        }),
      );
    await store.recordings.trim("other", now);
    expect(await states()).toEqual([100, 100, 100, 100]);
    await store.recordings.trim("acme", undefined);
    expect(await states()).toEqual(["gone", "gone", 100, 100]);
    // The third was stored 30 days and 1 s ago.
    await store.recordings.trim("acme", now + 30 * day - 1_000);
    expect(await states()).toEqual(["gone", "gone", "gone", 100]);
    expect(store.recordings.trimmed).toBe(3);
    expect((await store.anomalies.list("acme")).items).toHaveLength(4);
    await store.close();
  });
});
