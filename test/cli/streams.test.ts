/** Streams from end to end: OTLP in, engine, store, API out. */
import pino from "pino";
import { afterEach, describe, expect, it } from "vitest";
import { configSchema } from "../../src/config/schema.ts";
import { type Sidecar, startSidecar } from "../../src/sidecar/index.ts";
import { startDownstream } from "../forward/downstream.ts";
import { type EmptyDatabase, onEachDatabase } from "../store/databases.ts";
import { logs, normalLines, sendGrpc, strangeLine } from "./sender.ts";

const undo: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of undo.splice(0).reverse()) await each();
});

type Shown = Record<string, unknown> & { id: string; key: string };

/** Number of streams that a tenant may have. */
const most = 3;

async function start(database: EmptyDatabase): Promise<{ sidecar: Sidecar; received: Buffer[] }> {
  const target = await startDownstream("grpc");
  undo.push(target.close);
  const anyPort = { endpoint: "127.0.0.1:0" };
  const { data_dir, store } = database.config();
  const config = configSchema.parse({
    receive: { grpc: anyPort, http: anyPort },
    detect: { baseline: { records: 200 }, budget: { per_stream_per_day: 1_000 }, threads: 2 },
    forward: { endpoint: target.endpoint, compression: "none" },
    api: anyPort,
    auth: { enabled: true },
    limits: { streams: most },
    store: store.url === undefined ? {} : { url: store.url },
    data_dir,
  });
  const sidecar = await startSidecar(config, { log: pino({ level: "silent" }) });
  undo.push(() => sidecar.close());
  return {
    sidecar,
    get received() {
      return target.received.map(({ body }) => body);
    },
  };
}

onEachDatabase((databases) => {
  describe("streams", () => {
    it("show what was sent, to its tenant alone", { timeout: 90_000 }, async () => {
      const database = await databases.empty();
      const store = await database.open();
      const keyOf = async (tenant: string) => {
        const { secret } = await store.keys.create(
          tenant,
          { name: "test", scopes: ["ingest", "read"] },
          "test",
        );
        return { authorization: `Bearer ${secret}` };
      };
      const [acme, umbrella] = [await keyOf("acme"), await keyOf("umbrella")];
      const running = await start(database);
      const { grpc, api } = running.sidecar.addresses;
      const send = (who: typeof acme, lines: string[], from: number, service?: string) =>
        sendGrpc(grpc!, logs(lines, from, service), who);
      const ask = async (who: typeof acme, path: string) => {
        const response = await fetch(`http://${api}${path}`, { headers: who });
        return { status: response.status, body: (await response.json()) as Record<string, unknown> };
      };
      const list = async (who: typeof acme, query = "") =>
        ((await ask(who, `/v1/streams${query}`)).body as { items: Shown[] }).items;

      for (let i = 0; i < 5; i++) await send(acme, normalLines(100, i * 100), i * 100);
      await send(acme, [...normalLines(9, 500), strangeLine], 500);
      await send(acme, normalLines(50), 0, "cart");
      await send(acme, normalLines(20), 0, "search");
      for (let i = 0; i < 4; i++) await send(acme, normalLines(5), 0, `pod-${i}`);
      await send(umbrella, normalLines(7), 0, "checkout");
      // Forwarding goes on beyond the quota.
      expect(running.received).toHaveLength(13);

      await expect.poll(async () => (await list(acme)).length, { timeout: 30_000 }).toBe(7);
      const byKey = Object.fromEntries((await list(acme)).map((stream) => [stream.key, stream]));
      const checkout = byKey["logs service.name=checkout"]!;
      expect(checkout).toMatchObject({
        signal: "logs",
        service: "checkout",
        state: "watching",
        progress: 1,
        records: 510,
        flagged: 1,
        anomalies: 1,
        first_seen: "2023-11-14T22:13:20.000000000Z",
        last_seen: "2023-11-14T22:21:49.000000000Z",
        baseline_since: "2023-11-14T22:16:39.000000000Z",
        baseline_age_seconds: 310,
      });
      expect(checkout.recent_records_per_second).toBeGreaterThan(0);
      expect(byKey["logs service.name=cart"]).toMatchObject({
        state: "learning",
        progress: 0.25,
        records: 50,
        baseline_since: null,
      });
      expect(byKey["logs service.name=search"]).toMatchObject({ state: "learning", progress: 0.1 });
      const limited = await list(acme, "?state=limited");
      expect(limited.map(({ key, records }) => [key, records]).sort()).toEqual(
        [0, 1, 2, 3].map((n) => [`logs service.name=pod-${n}`, 5]),
      );
      const metrics = await (await fetch(`http://${api}/metrics`)).text();
      expect(metrics).toContain('driftlock_limited_records_total{signal="logs"} 20\n');
      expect(metrics).toContain("driftlock_streams 4\n");

      const detail = (await ask(acme, `/v1/streams/${checkout.id}`)).body as {
        history: { records: number; flagged: number; score: number; channel: string }[];
        scores: object[];
      };
      expect(detail.history.reduce((sum, { records }) => sum + records, 0)).toBe(510);
      const strangest = detail.history.toSorted((a, b) => b.score - a.score)[0]!;
      expect(strangest).toMatchObject({ flagged: 1, channel: "content" });
      expect(strangest.score).toBeGreaterThan(1);
      expect(detail.scores).toHaveLength(1);

      // The same key of another tenant is another stream with the same id.
      expect(await list(umbrella)).toMatchObject([
        { key: "logs service.name=checkout", records: 7, state: "learning", flagged: 0 },
      ]);
      expect((await ask(umbrella, `/v1/streams/${checkout.id}`)).body).toMatchObject({
        records: 7,
        history: [{ records: 7 }],
        scores: [],
      });
      const { id } = byKey["logs service.name=cart"]!;
      expect((await ask(umbrella, `/v1/streams/${id}`)).status).toBe(404);

      // The latest statistics are stored at the end.
      await send(acme, normalLines(3, 600), 600);
      await running.sidecar.close();
      const [last] = (await store.streams.list("acme", { service: "checkout" })).items;
      expect(last!.records).toBe(513n);
    });
  });
});
